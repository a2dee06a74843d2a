/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "broker/query.h"
#include "cimxml/bounds.h"
#include "smiscsid/options.h"

enum kind { TEXT, BOOL, NUMBER, LISTEN, PORTAL, DEVICE, ENGINE };

static const struct row {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *dflt;
	uint64_t min, max;
	const char *value, *help;
} rows[] = {
#define OPT(name, kind, field, dflt, min, max, value, help) \
	{name, kind, offsetof(struct options, field), dflt, min, max, value, help},
#include "smiscsid/options.def"
#undef OPT
};

enum { DEVICE_PATH_MAX = 200 };

static const char *const engines[ENGINES] = {
	[ENGINE_USER] = "user",
	[ENGINE_LIO] = "lio",
	[ENGINE_AUTO] = "auto",
	[ENGINE_FAKE] = "fake",
};

static void *field(struct options *o, const struct row *r)
{
	return (char *)o + r->offset;
}

static bool is_list(const struct row *r)
{
	return r->kind == LISTEN || r->kind == PORTAL || r->kind == DEVICE;
}

/* Canonical text and loopback-ness of a numeric address, link-local with its scope. */
static bool read_address(const char *s, size_t n, struct options_endpoint *ret)
{
	char text[64], *scope;
	struct in_addr v4;
	struct in6_addr v6;

	if (n == 0 || n >= sizeof(text))
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	if (inet_pton(AF_INET, text, &v4) == 1) {
		ret->loopback = ntohl(v4.s_addr) >> 24 == 127;
		return inet_ntop(AF_INET, &v4, ret->address, sizeof(ret->address)) != NULL;
	}
	scope = strchr(text, '%');
	if (scope)
		*scope = '\0';
	if (inet_pton(AF_INET6, text, &v6) != 1 ||
	    !inet_ntop(AF_INET6, &v6, ret->address, sizeof(ret->address)))
		return false;
	ret->loopback = IN6_IS_ADDR_LOOPBACK(&v6);
	if (scope) {
		size_t at = strlen(ret->address);

		(void)snprintf(ret->address + at, sizeof(ret->address) - at, "%%%s", scope + 1);
	}
	return true;
}

static int read_endpoint(const struct row *r, const char *s, struct options_endpoint *ret,
			 struct err *e)
{
	const char *addr = s, *end, *colon;
	uint64_t port = 0;

	*ret = (struct options_endpoint){0};
	if (*s == '[') {
		addr = s + 1;
		end = strchr(addr, ']');
		colon = end ? end + 1 : NULL;
	} else {
		colon = strrchr(s, ':');
		/* a bare IPv6 address has colons, but none of them starts a port */
		if (colon && strchr(s, ':') != colon)
			colon = s + strlen(s);
		end = colon ? colon : s + strlen(s);
		colon = end;
	}
	if (!end || (*colon && *colon != ':') || !read_address(addr, (size_t)(end - addr), ret))
		return err_set(e, -EINVAL,
			       "option --%s: '%s' is not %s with a numeric address (IPv6 in brackets)",
			       r->name, s, r->value);
	if (*colon) {
		if (!str_u64(colon + 1, strlen(colon + 1), r->max, &port) || port == 0)
			return err_set(e, -EINVAL, "option --%s: '%s' has no port between 1 and %u",
				       r->name, s, (unsigned)r->max);
	} else if (r->kind == LISTEN) {
		return err_set(e, -EINVAL, "option --%s: '%s' names no port; write %s", r->name, s,
			       r->value);
	}
	ret->port = (uint16_t)port;
	return 0;
}

static int set_bool(const struct row *r, const char *s, bool *ret, struct err *e)
{
	if (streq(s, "yes") || streq(s, "true") || streq(s, "1"))
		*ret = true;
	else if (streq(s, "no") || streq(s, "false") || streq(s, "0"))
		*ret = false;
	else
		return err_set(e, -EINVAL, "option --%s: '%s' is neither yes nor no", r->name, s);
	return 0;
}

/* The kernel's target takes no commas, the model's texts no control characters. */
static int add_device(const struct row *r, const char *s, struct options_paths *l, struct err *e)
{
	size_t n = strlen(s);

	if (*s != '/' || n > DEVICE_PATH_MAX || strpbrk(s, ", 	") || !str_utf8_xml(s, n) ||
	    str_has_control(s, n))
		return err_set(e, -EINVAL,
			       "option --%s: '%.300s' is not an absolute path of at most %d bytes "
			       "without commas and blanks",
			       r->name, s, DEVICE_PATH_MAX);
	for (size_t i = 0; i < l->n; i++) {
		if (streq(l->v[i], s))
			return 0;
	}
	if (l->n == OPTIONS_MAX_LIST)
		return err_set(e, -EINVAL, "option --%s is given more than %d times", r->name,
			       OPTIONS_MAX_LIST);
	l->v = xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
	l->v[l->n++] = xstrdup(s);
	return 0;
}

static int set(struct options *o, const struct row *r, const char *s, struct err *e)
{
	void *f = field(o, r);

	switch (r->kind) {
	case TEXT:
		free(*(char **)f);
		*(char **)f = xstrdup(s);
		return 0;
	case BOOL:
		return set_bool(r, s, f, e);
	case NUMBER:
		if (!str_u64(s, strlen(s), r->max, f) || *(uint64_t *)f < r->min)
			return err_set(e, -EINVAL,
				       "option --%s: '%s' is not a number from %lu to %lu", r->name, s,
				       (unsigned long)r->min, (unsigned long)r->max);
		return 0;
	case ENGINE:
		for (size_t i = 0; i < ENGINES; i++)
			if (streq(s, engines[i])) {
				*(enum options_engine *)f = (enum options_engine)i;
				return 0;
			}
		return err_set(e, -EINVAL, "option --engine: '%s' is not one of %s", s, r->value);
	case DEVICE:
		return add_device(r, s, f, e);
	case LISTEN:
	case PORTAL:
		break;
	}

	struct options_list *l = f;
	struct options_endpoint ep;
	int rc = read_endpoint(r, s, &ep, e);

	if (rc < 0)
		return rc;
	if (l->n == OPTIONS_MAX_LIST)
		return err_set(e, -EINVAL, "option --%s is given more than %d times", r->name,
			       OPTIONS_MAX_LIST);
	l->v = xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
	l->v[l->n++] = ep;
	return 0;
}

static const struct row *find(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0)
			return &rows[i];
	return NULL;
}

/* given[i]: the row was on the command line, so the file has no say. */
static int read_file(struct options *o, const char *path, const bool *given, struct err *e)
{
	FILE *f = fopen(path, "re");
	char line[1024];
	int rc = 0;

	if (!f)
		return err_sys(e, "cannot read the configuration file %s", path);
	for (unsigned no = 1; rc == 0 && fgets(line, sizeof(line), f); no++) {
		char *name = line + strspn(line, " \t"), *eq, *value, *end;
		const struct row *r;

		name[strcspn(name, "\r\n")] = '\0';
		if (*name == '\0' || *name == '#')
			continue;
		eq = strchr(name, '=');
		end = eq ? eq : name + strlen(name);
		while (end > name && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		r = find(name, (size_t)(end - name));
		if (!r || !eq || streq(r->name, "config") || streq(r->name, "help") ||
		    streq(r->name, "version")) {
			rc = err_set(e, -EINVAL, "%s:%u: '%s' is not 'option = value'", path, no, name);
			break;
		}
		value = eq + 1 + strspn(eq + 1, " \t");
		for (end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t');)
			*--end = '\0';
		if (given[r - rows])
			continue;
		rc = set(o, r, value, e);
		if (rc < 0)
			err_in(e, "%s:%u", path, no);
	}
	(void)fclose(f);
	return rc;
}

int options_read(struct options *o, int argc, char *const *argv, struct err *e)
{
	bool given[ARRAY_SIZE(rows)] = {false};
	int rc;

	*o = (struct options){0};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!is_list(&rows[i]) && (rc = set(o, &rows[i], rows[i].dflt, e)) < 0)
			return rc;
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *eq = strchr(a, '='), *value;
		const struct row *r;

		if (!str_starts(a, "--"))
			return err_set(e, -EINVAL, "unknown argument '%s'; see --help", a);
		r = find(a + 2, eq ? (size_t)(eq - a - 2) : strlen(a + 2));
		if (!r)
			return err_set(e, -EINVAL, "unknown option '%s'; see --help", a);
		if (eq)
			value = eq + 1;
		else if (r->kind == BOOL && r->value[0] == '\0')
			value = "yes";
		else if (i + 1 < argc)
			value = argv[++i];
		else
			return err_set(e, -EINVAL, "option --%s needs a value: %s", r->name, r->value);
		given[r - rows] = true;
		rc = set(o, r, value, e);
		if (rc < 0)
			return rc;
	}
	if (*o->config)
		return read_file(o, o->config, given, e);
	return 0;
}

static void paths_done(struct options_paths *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

void options_done(struct options *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].kind == TEXT)
			free(*(char **)field(o, &rows[i]));
		else if (rows[i].kind == DEVICE)
			paths_done(field(o, &rows[i]));
		else if (is_list(&rows[i]))
			free(((struct options_list *)field(o, &rows[i]))->v);
	}
}

void options_help(const char *program)
{
	printf("usage: %s [option]...\n\n", program);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char left[64];

		(void)snprintf(left, sizeof(left), "--%s %s", rows[i].name, rows[i].value);
		printf("  %-34s %s", left, rows[i].help);
		if (*rows[i].dflt && !(rows[i].kind == BOOL && !*rows[i].value))
			printf(" (default %s)", rows[i].dflt);
		printf("\n");
	}
}
