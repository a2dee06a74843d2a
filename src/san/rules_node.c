/* SPDX-License-Identifier: Apache-2.0 */
/* Rules on nodes and on switching things (SMI-S iSCSI Target Ports, 'CreateiSCSINode' ...). */
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "san/object.h"
#include "san/refuse.h"

/* Is text fit to be shown as a name?  0 or -EINVAL. */
int san_check_name(const char *what, const char *text, size_t max, struct err *e)
{
	size_t chars;

	if (!text || !*text)
		return err_set(e, -EINVAL, "%s is missing; 1 to %zu characters are needed", what,
			       max);
	if (!str_utf8(text, strlen(text), &chars))
		return err_set(e, -EINVAL, "%s is not UTF-8", what);
	if (chars > max)
		return err_set(e, -EINVAL, "%s has %zu characters; at most %zu are allowed", what,
			       chars, max);
	if (str_has_control(text, strlen(text)))
		return err_set(e, -EINVAL, "%s holds control characters", what);
	return 0;
}

static bool is_taken(const struct san_state *s, const char *iqn)
{
	return san_node_by_iqn(s, iqn) || san_foreign_target(s, iqn);
}

/* A name for a node: the authority (normalised already), the host and the alias, folded, and made
 * unique. */
static void make_iqn(const struct san_state *s, const char *alias, char ret[SAN_IQN_MAX + 1])
{
	char host[64], name[SAN_IQN_MAX + 1];
	int n;

	san_fold(s->host->name->s, host, sizeof(host));
	san_fold(alias, name, sizeof(name));
	n = snprintf(ret, SAN_IQN_MAX + 1, "%s:%s%s%s", s->settings->authority->s, host,
		     *host ? ":" : "", *name ? name : "node");
	if (n <= SAN_IQN_MAX && !is_taken(s, ret))
		return;
	/* What folding made equal, the id tells apart: it is given out once.  But a client may have
	 * chosen just that name for a node of its own. */
	for (uint64_t i = s->next_id;; i++) {
		char tail[24];
		int len = snprintf(tail, sizeof(tail), "-%llu", (unsigned long long)i);

		n = n > SAN_IQN_MAX - len ? SAN_IQN_MAX - len : n;
		memcpy(ret + n, tail, (size_t)len + 1);
		if (!is_taken(s, ret))
			return;
	}
}

uint32_t san_create_node(const struct san_state *s, const struct san_env *env,
			 const struct san_create_node_in *in, struct san_changes *ch,
			 struct san_created *ret, struct err *e)
{
	auto_free char *alias = NULL;
	char iqn[SAN_IQN_MAX + 1];

	if (!s->settings->node_creation)
		return refuse(e, 4096,
			      "this server does not let clients create nodes; a setting "
			      "turns that on");
	if (san_check_name("Alias", in->alias, SAN_ALIAS_MAX, e) < 0)
		return SAN_INVALID;
	alias = san_nfc(in->alias);
	if (san_node_by_alias(s, alias))
		return refuse(e, 4097, "alias '%s' belongs to node %s; choose another", alias,
			      san_node_by_alias(s, alias)->iqn->s);
	make_iqn(s, alias, iqn);
	ret->id = s->next_id;
	san_changes_add(ch, SAN_NODE, NULL, san_node_new(ret->id, iqn, alias, env->now_us));
	return SAN_DONE;
}

uint32_t san_create_named_node(const struct san_state *s, const struct san_env *env,
			       const struct san_create_named_node_in *in, struct san_changes *ch,
			       struct san_created *ret, struct err *e)
{
	auto_free char *alias = NULL;
	char iqn[SAN_IQN_MAX + 1];
	size_t n;

	if (!s->settings->node_creation)
		return refuse(
			e, SAN_REFUSED_NOT_SUPPORTED,
			"this server does not let clients create nodes; a setting turns that on");
	if (!in->iqn)
		return refuse(e, SAN_REFUSED_INVALID, "Name, the node's iSCSI name, is missing");
	if (san_iqn_check(in->iqn, iqn, e) < 0)
		return SAN_REFUSED_INVALID;
	if (in->alias && san_check_name("ElementName", in->alias, SAN_ALIAS_MAX, e) < 0)
		return SAN_REFUSED_INVALID;
	if (san_node_by_iqn(s, iqn))
		return refuse(e, SAN_REFUSED_EXISTS, "node %s exists already", iqn);
	if (san_foreign_target(s, iqn))
		return refuse(e, SAN_REFUSED_EXISTS,
			      "another tool has made a target of the name %s; choose another name, or "
			      "remove it there first",
			      iqn);
	alias = san_nfc(in->alias ? in->alias : iqn);
	/* A name without an alias stands in for one as far as an alias may be long. */
	n = strlen(alias);
	while (!in->alias && n > SAN_ALIAS_MAX)
		n -= 1;
	while (n < strlen(alias) && n && ((unsigned char)alias[n] & 0xc0) == 0x80)
		n--;
	alias[n] = '\0';
	if (san_node_by_alias(s, alias))
		return refuse(e, SAN_REFUSED_EXISTS,
			      "alias '%s' belongs to node %s; choose another", alias,
			      san_node_by_alias(s, alias)->iqn->s);
	ret->id = s->next_id;
	san_changes_add(ch, SAN_NODE, NULL, san_node_new(ret->id, iqn, alias, env->now_us));
	return 0;
}

uint32_t san_rename_node(const struct san_state *s, uint64_t node, const char *alias,
			 struct san_changes *ch, struct err *e)
{
	const struct san_node *n = san_node(s, node), *other;
	auto_free char *nfc = NULL;
	struct san_node *d;

	if (!n)
		return refuse(e, SAN_REFUSED_NOT_FOUND, "the node has just been deleted");
	if (san_check_name("ElementName", alias, SAN_ALIAS_MAX, e) < 0)
		return SAN_REFUSED_INVALID;
	nfc = san_nfc(alias);
	other = san_node_by_alias(s, nfc);
	if (other == n)
		return SAN_DONE;
	if (other)
		return refuse(e, SAN_REFUSED_EXISTS,
			      "alias '%s' belongs to node %s; choose another", nfc, other->iqn->s);
	d = san_obj_dup(n);
	san_str_set(&d->alias, nfc);
	san_changes_add(ch, SAN_NODE, n, d);
	return SAN_DONE;
}

static bool has_session(const struct san_state *s, uint64_t node)
{
	const struct san_session *x;
	struct san_walk w;

	for (x = san_first_of(&w, s, SAN_SESSIONS_OF_NODE, node); x; x = san_next(&w)) {
		if (!x->discovery)
			return true;
	}
	return false;
}

/* Everything that names the port goes before it. */
void san_remove_port(const struct san_state *s, const struct san_port *p, struct san_changes *ch)
{
	struct san_walk w;

	for (const void *x = san_first_of(&w, s, SAN_SESSIONS_OF_PORT, p->obj.id); x;
	     x = san_next(&w))
		san_changes_add(ch, SAN_SESSION, x, NULL);
	for (const void *b = san_first_of(&w, s, SAN_BINDINGS_OF_PORT, p->obj.id); b;
	     b = san_next(&w))
		san_changes_add(ch, SAN_BINDING, b, NULL);
	san_changes_add(ch, SAN_PORT, p, NULL);
}

uint32_t san_delete_node(const struct san_state *s, const struct san_delete_node_in *in,
			 struct san_changes *ch, struct err *e)
{
	const struct san_node *n;
	struct san_walk w;

	if (in->node.kind == SAN_REF_NULL || in->node.kind == SAN_REF_WRONG_CLASS)
		return refuse_ref(e, SAN_INVALID, "iSCSINode", &in->node,
				  "a SCSIProtocolController");
	n = in->node.kind == SAN_REF_FOUND ? san_node(s, in->node.id) : NULL;
	if (!n)
		return refuse(e, 4096, "node %s does not exist", ref_text(&in->node));
	if (has_session(s, n->obj.id))
		return refuse(e, 4097, "node %s has sessions; log its initiators out first",
			      n->iqn->s);
	for (const struct san_port *p = san_first_of(&w, s, SAN_PORTS_OF_NODE, n->obj.id); p;
	     p = san_next(&w))
		san_remove_port(s, p, ch);
	for (const void *l = san_first_of(&w, s, SAN_LUNS_OF_NODE, n->obj.id); l; l = san_next(&w))
		san_changes_add(ch, SAN_LUN, l, NULL);
	san_changes_add(ch, SAN_NODE, n, NULL);
	ch->unless_sessions = true;
	return SAN_DONE;
}

uint32_t san_request_state(const struct san_state *s, const struct san_env *env,
			   const struct san_request_state_in *in, struct san_changes *ch,
			   struct err *e)
{
	enum { ENABLED = 2, DISABLED = 3, OFFLINE = 6, RESET = 11, SHUT_DOWN = 4 };
	const struct san_obj *o;
	struct san_enabled *sw;
	struct san_obj *d;

	if (!in->has_requested ||
	    !(in->requested == ENABLED || in->requested == DISABLED || in->requested == SHUT_DOWN ||
	      (in->requested >= OFFLINE && in->requested <= RESET)))
		return refuse(e, SAN_INVALID,
			      "RequestedState is missing or not one of its values; 2 (Enabled) and "
			      "3 (Disabled) can be asked for");
	if (in->requested != ENABLED && in->requested != DISABLED)
		return refuse(e, 4097,
			      "RequestedState %u can't be reached; 2 (Enabled) and 3 "
			      "(Disabled) can be asked for",
			      in->requested);
	if (in->has_timeout)
		return refuse(e, 4098,
			      "TimeoutPeriod is not supported; leave it NULL: the change is "
			      "done when the answer comes");
	o = in->kind == SAN_NODE   ? (const void *)san_node(s, in->id)
	    : in->kind == SAN_PORT ? (const void *)san_port(s, in->id)
				   : (const void *)san_portal(s, in->id);
	if (!o)
		return refuse(e, SAN_METHOD_FAILED, "the object has just been deleted");
	d = san_obj_dup(o);
	sw = in->kind == SAN_NODE   ? &((struct san_node *)(void *)d)->enabled
	     : in->kind == SAN_PORT ? &((struct san_port *)(void *)d)->enabled
				    : &((struct san_portal *)(void *)d)->enabled;
	if (sw->on == (in->requested == ENABLED)) {
		san_unref(d);
		return SAN_DONE;
	}
	*sw = (struct san_enabled){in->requested == ENABLED, in->requested, env->now_us};
	/* What a client has touched is no longer ours to take away. */
	if (in->kind == SAN_PORTAL)
		((struct san_portal *)(void *)d)->origin = SAN_PORTAL_HAND;
	san_changes_add(ch, in->kind, o, d);
	return SAN_DONE;
}
