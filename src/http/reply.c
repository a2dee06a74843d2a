/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/str.h"
#include "http/reply.h"

void http_reply_begin(struct http_reply *r, const struct http_call *call)
{
	r->call = call;
	r->at = HTTP_REPLY_STATUS;
	r->status = 0;
	r->chunked = r->sized = false;
	r->keep = true;
	r->left = r->bytes = 0;
	r->most = call->answer_bytes ? call->answer_bytes : 1ULL << 30;
	r->header_bytes = r->n = 0;
}

static int not_http(struct err *e, const char *what)
{
	return err_set(e, -EIO, "the answer is no HTTP: %s", what);
}

/* Every line that belongs to no body counts. */
static int count_line(struct http_reply *r, size_t n, struct err *e)
{
	r->header_bytes += n;
	if (r->header_bytes > HTTP_REPLY_HEADERS_MAX)
		return err_set(e, -EFBIG, "the answer's headers have more than %d bytes",
			       HTTP_REPLY_HEADERS_MAX);
	return 0;
}

/* "HTTP/1.1 200 OK"; the reason may be missing. */
static int status_line(struct http_reply *r, struct err *e)
{
	const char *s = r->line;
	uint64_t status;

	if (strlen(s) < 12 || !str_starts(s, "HTTP/1.") || (s[7] != '0' && s[7] != '1') ||
	    s[8] != ' ' || (s[12] != ' ' && s[12] != '\0') || !str_u64(s + 9, 3, 999, &status) ||
	    status < 100)
		return not_http(e, "its first line is no status line");
	r->status = (unsigned)status;
	r->keep = s[7] == '1';
	r->at = HTTP_REPLY_FIELDS;
	if (status >= 200 && r->call->status)
		return r->call->status(r->call->ctx, r->status, e);
	return 0;
}

static int field(struct http_reply *r, struct err *e)
{
	char *colon = strchr(r->line, ':'), *value, *end;
	uint64_t length;

	if (!colon || colon == r->line || r->line[0] == ' ' || r->line[0] == '\t')
		return not_http(e, "a header without a name");
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	if (r->status < 200)
		return 0;
	if (str_caseeq(r->line, "Content-Length")) {
		if (!str_u64(value, strlen(value), INT64_MAX, &length) ||
		    (r->sized && length != r->left))
			return not_http(e, "its Content-Length makes no sense");
		r->sized = true;
		r->left = length;
	} else if (str_caseeq(r->line, "Transfer-Encoding")) {
		if (!str_caseeq(value, "chunked") || r->chunked)
			return not_http(e, "its Transfer-Encoding is not known");
		r->chunked = true;
	} else if (str_caseeq(r->line, "Connection") && str_caseeq(value, "close")) {
		r->keep = false;
	}
	return r->call->header ? r->call->header(r->call->ctx, r->line, value, e) : 0;
}

static int fields_end(struct http_reply *r, struct err *e)
{
	if (r->status < 200) {
		r->at = HTTP_REPLY_STATUS;
		return 0;
	}
	if (r->chunked && r->sized)
		return not_http(e, "it has a Content-Length and chunks");
	if (r->status == 204 || r->status == 304 || (r->sized && r->left == 0)) {
		r->at = HTTP_REPLY_DONE;
	} else if (r->chunked) {
		r->at = HTTP_REPLY_CHUNK;
	} else if (r->sized) {
		r->at = HTTP_REPLY_SIZED;
	} else {
		r->at = HTTP_REPLY_UNTIL_END;
		r->keep = false;
	}
	return 0;
}

/* "1f;extension" */
static int chunk_line(struct http_reply *r, struct err *e)
{
	size_t n = strcspn(r->line, "; \t");

	if (!str_hex64(r->line, n, &r->left))
		return not_http(e, "a chunk without a length");
	r->at = r->left ? HTTP_REPLY_IN_CHUNK : HTTP_REPLY_TRAILERS;
	r->header_bytes = 0; /* chunks may be as many as they like */
	return 0;
}

static int whole_line(struct http_reply *r, struct err *e)
{
	switch (r->at) {
	case HTTP_REPLY_STATUS:
		return status_line(r, e);
	case HTTP_REPLY_FIELDS:
		return r->line[0] ? field(r, e) : fields_end(r, e);
	case HTTP_REPLY_CHUNK:
		return chunk_line(r, e);
	case HTTP_REPLY_CHUNK_END:
		r->at = HTTP_REPLY_CHUNK;
		return r->line[0] ? not_http(e, "a chunk longer than it says") : 0;
	case HTTP_REPLY_TRAILERS:
		if (!r->line[0])
			r->at = HTTP_REPLY_DONE;
		return 0;
	default:
		return 0;
	}
}

/* Bytes up to the end of the line, or all there are; returns how many were taken, or an error. */
static ssize_t feed_line(struct http_reply *r, const char *p, size_t n, struct err *e)
{
	const char *nl = memchr(p, '\n', n);
	size_t len = nl ? (size_t)(nl - p) : n;
	int rc = count_line(r, len + 1, e);

	if (rc < 0)
		return rc;
	if (len >= sizeof(r->line) - r->n || memchr(p, '\0', len))
		return not_http(e, "a line that is too long, or has a zero in it");
	memcpy(r->line + r->n, p, len);
	r->n += len;
	if (!nl)
		return (ssize_t)len;
	if (r->n && r->line[r->n - 1] == '\r')
		r->n--;
	r->line[r->n] = '\0';
	r->n = 0;
	rc = whole_line(r, e);
	return rc < 0 ? rc : (ssize_t)len + 1;
}

static ssize_t feed_body(struct http_reply *r, const char *p, size_t n, struct err *e)
{
	int rc;

	if (r->at != HTTP_REPLY_UNTIL_END && n > r->left)
		n = (size_t)r->left;
	if (n > r->most - r->bytes)
		return err_set(e, -EFBIG, "the answer has more than %llu bytes",
			       (unsigned long long)r->most);
	r->bytes += n;
	rc = r->call->bytes(r->call->ctx, p, n, e);
	if (rc < 0)
		return rc;
	if (r->at == HTTP_REPLY_UNTIL_END)
		return (ssize_t)n;
	r->left -= n;
	if (r->left == 0)
		r->at = r->at == HTTP_REPLY_IN_CHUNK ? HTTP_REPLY_CHUNK_END : HTTP_REPLY_DONE;
	return (ssize_t)n;
}

int http_reply_feed(struct http_reply *r, const char *p, size_t n, struct err *e)
{
	while (n && r->at != HTTP_REPLY_DONE) {
		bool body = r->at == HTTP_REPLY_SIZED || r->at == HTTP_REPLY_IN_CHUNK ||
			    r->at == HTTP_REPLY_UNTIL_END;
		ssize_t took = body ? feed_body(r, p, n, e) : feed_line(r, p, n, e);

		if (took < 0)
			return (int)took;
		p += took;
		n -= (size_t)took;
	}
	if (r->at != HTTP_REPLY_DONE)
		return 0;
	if (n)
		r->keep = false;
	return 1;
}

int http_reply_ended(struct http_reply *r, struct err *e)
{
	if (r->at == HTTP_REPLY_UNTIL_END || r->at == HTTP_REPLY_DONE) {
		r->at = HTTP_REPLY_DONE;
		r->keep = false;
		return 1;
	}
	return err_set(e, -EPIPE, "the server ended the connection in the middle of its answer");
}
