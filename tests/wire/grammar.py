# SPDX-License-Identifier: Apache-2.0
"""A grammar of CIM-XML answers (the response part of DSP0203 2.3.1; of 2.4.0 for answers to pulls),
and the dialect that real clients can read.  check(bytes) returns a list of complaints; empty means
valid."""
import re
import xml.etree.ElementTree as ET

QUALIFIER_FLAVOR = "PROPAGATED? OVERRIDABLE? TOSUBCLASS? TOINSTANCE? TRANSLATABLE? xml:lang?"
MEMBER = "CLASSORIGIN? PROPAGATED? EmbeddedObject? EMBEDDEDOBJECT? xml:lang?"
PROPS = "(PROPERTY |PROPERTY.ARRAY |PROPERTY.REFERENCE )*"
PCDATA = None

# element: (children as a regular expression over "NAME " tokens, attributes; ? means optional)
GRAMMAR = {
    "CIM": ("MESSAGE ", "CIMVERSION DTDVERSION"),
    "MESSAGE": ("SIMPLERSP ", "ID PROTOCOLVERSION"),
    "SIMPLERSP": ("METHODRESPONSE |IMETHODRESPONSE ", ""),
    "METHODRESPONSE": ("ERROR |(RETURNVALUE )?(PARAMVALUE )*", "NAME"),
    "IMETHODRESPONSE": ("ERROR |(IRETURNVALUE )?(PARAMVALUE )*", "NAME"),
    "ERROR": ("(INSTANCE )*", "CODE DESCRIPTION?"),
    "RETURNVALUE": ("(VALUE |VALUE.REFERENCE )?", "PARAMTYPE? EmbeddedObject?"),
    "IRETURNVALUE": ("|".join(f"({x} )*" for x in (
        "CLASSNAME", "INSTANCENAME", "VALUE", "VALUE.OBJECTWITHPATH", "VALUE.OBJECTWITHLOCALPATH",
        "VALUE.OBJECT", "OBJECTPATH", "QUALIFIER.DECLARATION", "CLASS", "INSTANCE",
        "VALUE.NAMEDINSTANCE", "VALUE.INSTANCEWITHPATH", "INSTANCEPATH")) +
        "|VALUE.ARRAY |VALUE.REFERENCE ", ""),
    "PARAMVALUE": ("(VALUE |VALUE.REFERENCE |VALUE.ARRAY |VALUE.REFARRAY |CLASSNAME |INSTANCENAME "
                   "|CLASS |INSTANCE |VALUE.NAMEDINSTANCE )?", "NAME PARAMTYPE? EmbeddedObject?"),
    "VALUE": (PCDATA, ""),
    "VALUE.NULL": ("", ""),
    "VALUE.ARRAY": ("(VALUE |VALUE.NULL )*", ""),
    "VALUE.REFERENCE": ("CLASSPATH |LOCALCLASSPATH |CLASSNAME |INSTANCEPATH |LOCALINSTANCEPATH "
                        "|INSTANCENAME ", ""),
    "VALUE.REFARRAY": ("(VALUE.REFERENCE |VALUE.NULL )*", ""),
    "VALUE.OBJECT": ("CLASS |INSTANCE ", ""),
    "VALUE.NAMEDINSTANCE": ("INSTANCENAME INSTANCE ", ""),
    "VALUE.OBJECTWITHPATH": ("CLASSPATH CLASS |INSTANCEPATH INSTANCE ", ""),
    "VALUE.INSTANCEWITHPATH": ("INSTANCEPATH INSTANCE ", ""),
    "OBJECTPATH": ("INSTANCEPATH |CLASSPATH ", ""),
    "NAMESPACEPATH": ("HOST LOCALNAMESPACEPATH ", ""),
    "LOCALNAMESPACEPATH": ("(NAMESPACE )+", ""),
    "HOST": (PCDATA, ""),
    "NAMESPACE": ("", "NAME"),
    "CLASSPATH": ("NAMESPACEPATH CLASSNAME ", ""),
    "LOCALCLASSPATH": ("LOCALNAMESPACEPATH CLASSNAME ", ""),
    "CLASSNAME": ("", "NAME"),
    "INSTANCEPATH": ("NAMESPACEPATH INSTANCENAME ", ""),
    "LOCALINSTANCEPATH": ("LOCALNAMESPACEPATH INSTANCENAME ", ""),
    "INSTANCENAME": ("(KEYBINDING )*|KEYVALUE |VALUE.REFERENCE ", "CLASSNAME"),
    "KEYBINDING": ("KEYVALUE |VALUE.REFERENCE ", "NAME"),
    "KEYVALUE": (PCDATA, "VALUETYPE? TYPE?"),
    "CLASS": (f"(QUALIFIER )*{PROPS}(METHOD )*", "NAME SUPERCLASS?"),
    "INSTANCE": (f"(QUALIFIER )*{PROPS}", "CLASSNAME xml:lang?"),
    "QUALIFIER": ("(VALUE |VALUE.ARRAY )?", f"NAME TYPE {QUALIFIER_FLAVOR}"),
    "PROPERTY": ("(QUALIFIER )*(VALUE )?", f"NAME TYPE {MEMBER}"),
    "PROPERTY.ARRAY": ("(QUALIFIER )*(VALUE.ARRAY )?", f"NAME TYPE ARRAYSIZE? {MEMBER}"),
    "PROPERTY.REFERENCE": ("(QUALIFIER )*(VALUE.REFERENCE )?", f"NAME REFERENCECLASS? {MEMBER}"),
    "METHOD": ("(QUALIFIER )*(PARAMETER |PARAMETER.REFERENCE |PARAMETER.ARRAY "
               "|PARAMETER.REFARRAY )*", "NAME TYPE? CLASSORIGIN? PROPAGATED?"),
    "PARAMETER": ("(QUALIFIER )*", "NAME TYPE"),
    "PARAMETER.REFERENCE": ("(QUALIFIER )*", "NAME REFERENCECLASS?"),
    "PARAMETER.ARRAY": ("(QUALIFIER )*", "NAME TYPE ARRAYSIZE?"),
    "PARAMETER.REFARRAY": ("(QUALIFIER )*", "NAME REFERENCECLASS? ARRAYSIZE?"),
    "QUALIFIER.DECLARATION": ("(SCOPE )?(VALUE |VALUE.ARRAY )?",
                              f"NAME TYPE ISARRAY? ARRAYSIZE? {QUALIFIER_FLAVOR}"),
    "SCOPE": ("", "CLASS? ASSOCIATION? REFERENCE? PROPERTY? METHOD? PARAMETER? INDICATION?"),
}
TYPES = set("boolean string char16 uint8 sint8 uint16 sint16 uint32 sint32 uint64 sint64 datetime "
            "real32 real64".split())
ENUMERATED = {"TYPE": TYPES, "PARAMTYPE": TYPES | {"reference"},
              "VALUETYPE": {"string", "boolean", "numeric"}, "EmbeddedObject": {"object", "instance"}}
NEVER_SELF_CLOSED = ("PROPERTY", "PROPERTY.ARRAY", "VALUE", "VALUE.ARRAY", "IRETURNVALUE")
_models = {k: None if c is PCDATA else re.compile(c.replace(".", r"\.")) for k, (c, _) in
           GRAMMAR.items()}


def _element(e, where, out):
    here = f"{where}/{e.tag}"
    if e.tag not in GRAMMAR:
        out.append(f"{here}: no such element")
        return
    model = _models[e.tag]
    children = "".join(c.tag + " " for c in e)
    if model is None:
        if len(e):
            out.append(f"{here}: has children {children}")
    else:
        if not model.fullmatch(children):
            out.append(f"{here}: children '{children[:200]}' do not fit")
        if (e.text or "").strip() or any((c.tail or "").strip() for c in e):
            out.append(f"{here}: text between elements")
    allowed = GRAMMAR[e.tag][1].split()
    for a in allowed:
        if not a.endswith("?") and a not in e.attrib:
            out.append(f"{here}: attribute {a} is missing")
    for a, v in e.attrib.items():
        if a not in [x.rstrip("?") for x in allowed]:
            out.append(f"{here}: attribute {a} does not belong here")
        if a in ENUMERATED and v not in ENUMERATED[a] and not (
                e.tag == "KEYVALUE" and a == "TYPE" and v in TYPES):
            out.append(f"{here}: {a}='{v}'")
    for c in e:
        _element(c, here, out)


def check(body):
    """Complaints about one answer."""
    out = []
    text = body.decode("utf-8")  # an answer that is not UTF-8 is an error by itself
    if not text.startswith('<?xml version="1.0"'):
        out.append("no XML declaration")
    for tag in NEVER_SELF_CLOSED:
        if re.search(rf"<{re.escape(tag)}(?:\s[^<>]*)?/>", text):
            out.append(f"{tag} is self-closed")
    if "&#" in text:
        out.append("a numeric character reference")
    if "<![CDATA[" in text:
        out.append("CDATA")
    if "<!DOCTYPE" in text:
        out.append("a document type declaration")
    for m in re.finditer(r'<PARAMVALUE NAME="EndOfSequence"([^>]*)>', text):
        if 'PARAMTYPE="boolean"' not in m[1]:
            out.append("EndOfSequence without PARAMTYPE")
    root = ET.fromstring(body)
    _element(root, "", out)
    rsp = root.find("MESSAGE/SIMPLERSP/IMETHODRESPONSE")
    if rsp is not None and rsp.get("NAME").lower().startswith(("open", "pull")):
        # these answers came with DSP0203 2.4.0, which wants a key's type
        out += [f"a KEYVALUE without TYPE: {e.text}" for e in root.iter("KEYVALUE")
                if "TYPE" not in e.attrib]
    return out
