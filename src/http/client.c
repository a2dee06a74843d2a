/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/str.h"
#include "http/transport.h"

/* One of the two. */
struct http_client {
	struct http_remote *remote;
	struct http_local *local;
};

int http_client_new(const struct http_client_config *cfg, struct http_client **ret, struct err *e)
{
	AUTO(http_client) c = xcalloc(1, sizeof(*c));
	int r;

	if (!str_starts(cfg->url, "http://") && !str_starts(cfg->url, "https://"))
		return err_set(e, -EINVAL,
			       "\"%.200s\" is no URL of a CIM server; use http:// or https://",
			       cfg->url);
	if (cfg->unix_path)
		r = http_local_new(cfg, &c->local, e);
	else
		r = http_remote_new(cfg, &c->remote, e);
	if (r == 0)
		*ret = take(c);
	return r;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	http_remote_free(c->remote);
	http_local_free(c->local);
	free(c);
}

int http_client_call(struct http_client *c, const struct http_call *call, struct err *e)
{
	return c->local ? http_local_call(c->local, call, e) : http_remote_call(c->remote, call, e);
}

const char *http_client_peer(const struct http_client *c)
{
	return c->remote ? http_remote_peer(c->remote) : "";
}
