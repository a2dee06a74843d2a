# SPDX-License-Identifier: Apache-2.0
"""A small CIM-XML client for what Debian's wbemcli cannot say (pull, queries, several references
with several keys), for malformed requests, and for the benches.  Every answer is checked
against the grammar in tests/wire/grammar.py."""
import base64, http.client, pathlib, socket, sys
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "wire"))
import grammar


class CimError(Exception):
    def __init__(self, code, text):
        super().__init__(f"CIM error {code}: {text}")
        self.code, self.text = code, text


class HttpError(Exception):
    def __init__(self, status, cimerror, headers):
        super().__init__(f"HTTP {status} CIMError={cimerror}")
        self.status, self.cimerror, self.headers = status, cimerror, headers


class Path:
    """An object path: class, keys (str, int, bool or Path), namespace or None."""

    def __init__(self, cls, keys=None, ns=None, host=None):
        self.cls, self.keys, self.ns, self.host = cls, dict(keys or {}), ns, host

    def name_xml(self):
        out = f"<INSTANCENAME CLASSNAME={quoteattr(self.cls)}>"
        for k, v in self.keys.items():
            out += f"<KEYBINDING NAME={quoteattr(k)}>"
            if isinstance(v, Path):
                out += f"<VALUE.REFERENCE>{v.xml()}</VALUE.REFERENCE>"
            else:
                kind = "boolean" if isinstance(v, bool) else "numeric" if isinstance(v, int) \
                    else "string"
                text = str(v).lower() if isinstance(v, bool) else str(v)
                out += f'<KEYVALUE VALUETYPE="{kind}">{escape(text)}</KEYVALUE>'
            out += "</KEYBINDING>"
        return out + "</INSTANCENAME>"

    def xml(self):
        if not self.ns:
            return self.name_xml()
        ns = "".join(f"<NAMESPACE NAME={quoteattr(n)}/>" for n in self.ns.split("/"))
        ns = f"<LOCALNAMESPACEPATH>{ns}</LOCALNAMESPACEPATH>"
        return f"<LOCALINSTANCEPATH>{ns}{self.name_xml()}</LOCALINSTANCEPATH>"

    def _id(self):
        return (self.cls.lower(), tuple(sorted((k.lower(), v._id() if isinstance(v, Path) else
                                                str(v)) for k, v in self.keys.items())))

    def __eq__(self, other):
        return isinstance(other, Path) and self._id() == other._id()

    def __hash__(self):
        return hash(self._id())

    def __repr__(self):
        return f"{self.ns + ':' if self.ns else ''}{self.cls}." + \
            ",".join(f"{k}={v!r}" for k, v in self.keys.items())


class Instance(dict):
    """Properties by name; .cls and .path beside."""
    cls = path = None


def parse_path(e):
    if e.tag in ("INSTANCEPATH", "LOCALINSTANCEPATH"):
        ns = "/".join(n.get("NAME") for n in e.iter("NAMESPACE") if n in list(
            (e.find("NAMESPACEPATH/LOCALNAMESPACEPATH") if e.tag == "INSTANCEPATH"
             else e.find("LOCALNAMESPACEPATH"))))
        p = parse_path(e.find("INSTANCENAME"))
        p.ns = ns
        p.host = e.findtext("NAMESPACEPATH/HOST")
        return p
    if e.tag == "CLASSNAME":
        return Path(e.get("NAME"))
    if e.tag == "CLASSPATH":
        return Path(e.find("CLASSNAME").get("NAME"))
    keys = {}
    for kb in e.findall("KEYBINDING"):
        ref = kb.find("VALUE.REFERENCE")
        if ref is not None:
            keys[kb.get("NAME")] = parse_path(ref[0])
        else:
            keys[kb.get("NAME")] = scalar(kb.find("KEYVALUE"))
    return Path(e.get("CLASSNAME"), keys)


def scalar(e):
    kind = e.get("VALUETYPE", "string")
    text = e.text or ""
    return int(text) if kind == "numeric" else text.lower() == "true" if kind == "boolean" else text


def typed(text, t):
    if t in ("string", "datetime", "char16", None):
        return text
    if t == "boolean":
        return text.lower() == "true"
    return float(text) if t.startswith("real") else int(text)


def parse_value(e, t):
    """Of the child of PROPERTY*, PARAMVALUE, RETURNVALUE."""
    if e is None:
        return None
    if e.tag == "VALUE":
        return typed(e.text or "", t)
    if e.tag == "VALUE.ARRAY":
        return [None if v.tag == "VALUE.NULL" else typed(v.text or "", t) for v in e]
    if e.tag == "VALUE.REFERENCE":
        return parse_path(e[0])
    if e.tag == "VALUE.REFARRAY":
        return [parse_path(v[0]) for v in e]
    if e.tag in ("INSTANCENAME", "CLASSNAME"):
        return parse_path(e)
    raise ValueError(e.tag)


def parse_instance(e, path=None):
    i = Instance()
    i.cls, i.path = e.get("CLASSNAME"), path
    for p in e:
        if p.tag.startswith("PROPERTY"):
            child = next((c for c in p if c.tag != "QUALIFIER"), None)
            i[p.get("NAME")] = parse_value(child, p.get("TYPE"))
    return i


def parse_object(e):
    if e.tag in ("VALUE.NAMEDINSTANCE", "VALUE.INSTANCEWITHPATH", "VALUE.OBJECTWITHPATH"):
        if e[1].tag == "CLASS":
            return e[1]
        return parse_instance(e[1], parse_path(e[0]))
    if e.tag == "INSTANCE":
        return parse_instance(e)
    if e.tag == "OBJECTPATH":
        return parse_path(e[0])
    if e.tag in ("INSTANCENAME", "INSTANCEPATH"):
        return parse_path(e)
    if e.tag == "CLASSNAME":
        return e.get("NAME")
    if e.tag == "VALUE":
        return e.text or ""
    return e


def value_xml(v, embedded=False):
    if isinstance(v, Path):
        return f"<VALUE.REFERENCE>{v.xml()}</VALUE.REFERENCE>"
    if isinstance(v, (list, tuple)):
        if v and all(isinstance(x, Path) for x in v):
            return "<VALUE.REFARRAY>" + "".join(value_xml(x) for x in v) + "</VALUE.REFARRAY>"
        return "<VALUE.ARRAY>" + "".join(
            "<VALUE.NULL/>" if x is None else value_xml(x) for x in v) + "</VALUE.ARRAY>"
    return f"<VALUE>{escape(str(v).lower() if isinstance(v, bool) else str(v))}</VALUE>"


def cim_type(v):
    v = v[0] if isinstance(v, (list, tuple)) and v else v
    return "reference" if isinstance(v, Path) else "boolean" if isinstance(v, bool) else \
        "uint32" if isinstance(v, int) else "string"


def param_type(v):
    """PARAMTYPE, but for numbers, whose width only the class knows."""
    t = cim_type(v)
    return "" if t == "uint32" else f' PARAMTYPE="{t}"'


def prop_xml(name, v):
    t = cim_type(v)
    if isinstance(v, Path):
        return f"<PROPERTY.REFERENCE NAME={quoteattr(name)}>{value_xml(v)}</PROPERTY.REFERENCE>"
    if isinstance(v, (list, tuple)):
        return f'<PROPERTY.ARRAY NAME={quoteattr(name)} TYPE="{t}">{value_xml(v)}</PROPERTY.ARRAY>'
    return f'<PROPERTY NAME={quoteattr(name)} TYPE="{t}">' + \
        ("" if v is None else value_xml(v)) + "</PROPERTY>"


def instance_xml(cls, props):
    return f"<INSTANCE CLASSNAME={quoteattr(cls)}>" + \
        "".join(prop_xml(k, v) for k, v in props.items()) + "</INSTANCE>"


class Client:
    def __init__(self, addr, port, ns, user=None, password="", unix=None, tls=None, timeout=60,
                 source=None):
        self.addr, self.port, self.ns = addr, port, ns
        self.source = (source, 0) if source else None
        self.auth = None if user is None else \
            "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.timeout, self.tls, self.conn = timeout, tls, None
        self.last_headers = {}
        self.answered = set()  # operations that succeeded: their answers were held to the grammar

    # -- requests --

    def namespace_xml(self, ns=None):
        return "<LOCALNAMESPACEPATH>" + "".join(
            f"<NAMESPACE NAME={quoteattr(n)}/>" for n in (ns or self.ns).split("/")) + \
            "</LOCALNAMESPACEPATH>"

    @staticmethod
    def envelope(inner):
        return ('<?xml version="1.0" encoding="utf-8"?><CIM CIMVERSION="2.0" DTDVERSION="2.0">'
                f'<MESSAGE ID="42" PROTOCOLVERSION="1.0"><SIMPLEREQ>{inner}</SIMPLEREQ></MESSAGE>'
                '</CIM>').encode()

    def imethod_body(self, name, params, ns=None):
        inner = "".join(f"<IPARAMVALUE NAME={quoteattr(k)}>{v}</IPARAMVALUE>"
                        for k, v in params if v is not None)
        return self.envelope(f"<IMETHODCALL NAME={quoteattr(name)}>{self.namespace_xml(ns)}{inner}"
                             "</IMETHODCALL>")

    def method_body(self, path, name, params, ns=None):
        p = Path(path.cls, path.keys, ns or path.ns or self.ns)
        target = p.xml() if p.keys else \
            f"<LOCALCLASSPATH>{self.namespace_xml(p.ns)}<CLASSNAME NAME={quoteattr(p.cls)}/>" \
            "</LOCALCLASSPATH>"
        inner = "".join(
            f"<PARAMVALUE NAME={quoteattr(k)}{param_type(v)}>" +
            ("" if v is None else value_xml(v)) + "</PARAMVALUE>" for k, v in params.items())
        return self.envelope(f"<METHODCALL NAME={quoteattr(name)}>{target}{inner}</METHODCALL>")

    def headers(self, method, obj):
        h = {"Content-Type": 'application/xml; charset="utf-8"', "CIMOperation": "MethodCall",
             "CIMMethod": method, "CIMObject": obj}
        if self.auth:
            h["Authorization"] = self.auth
        return h

    def post(self, body, headers, verb="POST", url="/cimom"):
        """(status, headers, body); one retry when a kept-alive connection has gone."""
        for attempt in (0, 1):
            if self.conn is None:
                self.conn = http.client.HTTPSConnection(
                    self.addr, self.port, timeout=self.timeout, context=self.tls,
                    source_address=self.source) if self.tls \
                    else http.client.HTTPConnection(self.addr, self.port, timeout=self.timeout,
                                                    source_address=self.source)
                fresh = True
            else:
                fresh = False
            try:
                self.conn.request(verb, url, body, headers)
                r = self.conn.getresponse()
                return r.status, r.headers, r.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.conn.close()
                self.conn = None
                if fresh:
                    raise

    def call(self, body, headers):
        status, h, data = self.post(body, headers)
        self.last_headers = h
        if status != 200:
            raise HttpError(status, h.get("CIMError"), h)
        complaints = grammar.check(data)
        if complaints:
            raise AssertionError(f"the answer is not valid: {complaints[:5]}\n{data[:2000]!r}")
        rsp = ET.fromstring(data).find("MESSAGE/SIMPLERSP")[0]
        e = rsp.find("ERROR")
        if e is not None:
            raise CimError(int(e.get("CODE")), e.get("DESCRIPTION", ""))
        return rsp

    def imethod(self, name, params=(), ns=None):
        rsp = self.call(self.imethod_body(name, params, ns), self.headers(name, ns or self.ns))
        self.answered.add(name)
        return rsp

    # -- operations --

    @staticmethod
    def _flags(flags):
        out = []
        for k, v in flags.items():
            if isinstance(v, bool):
                out.append((k, f"<VALUE>{str(v).upper()}</VALUE>"))
            elif k == "PropertyList":
                out.append((k, None if v is None else "<VALUE.ARRAY>" + "".join(
                    f"<VALUE>{escape(x)}</VALUE>" for x in v) + "</VALUE.ARRAY>"))
            elif k in ("AssocClass", "ResultClass"):
                out.append((k, f"<CLASSNAME NAME={quoteattr(v)}/>" if v else None))
            elif v is not None:
                out.append((k, f"<VALUE>{escape(str(v))}</VALUE>"))
        return out

    @staticmethod
    def _class(name):
        return f"<CLASSNAME NAME={quoteattr(name)}/>"

    def _list(self, rsp):
        r = rsp.find("IRETURNVALUE")
        return [] if r is None else [parse_object(o) for o in r]

    def enum(self, cls, ns=None, **flags):
        return self._list(self.imethod("EnumerateInstances", [
            ("ClassName", self._class(cls)), *self._flags(flags)], ns))

    def names(self, cls, ns=None):
        return self._list(self.imethod("EnumerateInstanceNames", [
            ("ClassName", self._class(cls))], ns))

    def get(self, path, ns=None, **flags):
        r = self._list(self.imethod("GetInstance", [
            ("InstanceName", path.name_xml()), *self._flags(flags)], ns or path.ns))[0]
        r.path = path
        return r

    def create(self, cls, props, ns=None):
        return self._list(self.imethod("CreateInstance", [
            ("NewInstance", instance_xml(cls, props))], ns))[0]

    def modify(self, path, props, ns=None, **flags):
        named = f"<VALUE.NAMEDINSTANCE>{path.name_xml()}{instance_xml(path.cls, props)}" \
            "</VALUE.NAMEDINSTANCE>"
        self.imethod("ModifyInstance", [("ModifiedInstance", named), *self._flags(flags)], ns)

    def delete(self, path, ns=None):
        self.imethod("DeleteInstance", [("InstanceName", path.name_xml())], ns or path.ns)

    def walk(self, op, path, ns=None, **flags):
        """Associators, AssociatorNames, References, ReferenceNames."""
        obj = self._class(path) if isinstance(path, str) else path.name_xml()
        return self._list(self.imethod(op, [("ObjectName", obj), *self._flags(flags)],
                                       ns or (None if isinstance(path, str) else path.ns)))

    def invoke(self, path, method, ns=None, **params):
        """(return value, {out parameter: value})."""
        ns = ns or path.ns or self.ns
        obj = f"{ns}:{path.cls}"
        if path.keys:
            def text(v):
                return '"' + str(v).replace("\\", "\\\\").replace('"', '\\"') + '"'
            obj += "." + ",".join(f"{k}={text(v)}" for k, v in path.keys.items())
        from urllib.parse import quote
        rsp = self.call(self.method_body(path, method, params, ns),
                        self.headers(method, quote(obj)))
        rv = rsp.find("RETURNVALUE")
        out = {p.get("NAME"): parse_value(p[0] if len(p) else None, p.get("PARAMTYPE"))
               for p in rsp.findall("PARAMVALUE")}
        return (None if rv is None else parse_value(rv[0], rv.get("PARAMTYPE"))), out

    def query(self, text, language="WQL", ns=None):
        return self._list(self.imethod("ExecQuery", [
            ("QueryLanguage", f"<VALUE>{language}</VALUE>"),
            ("Query", f"<VALUE>{escape(text)}</VALUE>")], ns))

    def open(self, op, first, ns=None, **flags):
        """One of the Open operations; (objects, context or None)."""
        return self._pulled(self.imethod(op, [*first, *self._flags(flags)], ns))

    def pull(self, op, context, n, ns=None):
        return self._pulled(self.imethod(op, [
            ("EnumerationContext", f"<VALUE>{escape(context)}</VALUE>"),
            ("MaxObjectCount", f"<VALUE>{n}</VALUE>")], ns))

    def close_enumeration(self, context, ns=None):
        self.imethod("CloseEnumeration", [
            ("EnumerationContext", f"<VALUE>{escape(context)}</VALUE>")], ns)

    def _pulled(self, rsp):
        out = {p.get("NAME"): p[0].text if len(p) else None for p in rsp.findall("PARAMVALUE")}
        end = out["EndOfSequence"].lower() == "true"
        return self._list(rsp), None if end else out["EnumerationContext"]
