/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - the one writer: rule, durable commit, engine, publish, answer
 *
 * Everything that changes the model goes through one thread at a time, which is the writer:
 * a thread of control's own, or, when nobody else is writing and nothing waits, the thread
 * that brings a write and has nothing else to do (control_write.here), since two threads that
 * wake each other up for one small change take longer than the change.  Whatever waits is one
 * batch: the rules run one after the other on the newest state, one transaction makes
 * the whole batch durable (that sync is the write-ahead intent), one round trip has the
 * engine apply it, one publication shows it, then everybody is answered.  When the
 * engine refuses a member, its inverse and that of those after it is made durable before
 * the refusal is answered, and those after it are tried again.  After a crash anywhere
 * the start makes the target what the store says: an acknowledged change is there, an
 * unacknowledged one is wholly there or wholly not.
 *
 * Readers take the published state, which costs a reference, and never wait for a
 * running write.  What the network and the target report becomes changes the same way.
 *
 * Depends on: base, san, store, engine, network.
 * Threads: control_state_get and control_submit from any thread; a write's run and done
 * are called on the thread that is the writer and must not block or wait for another write.
 */
#pragma once

#include "engine/engine.h"
#include "san/rules.h"
#include "store/store.h"

struct control;

enum control_outcome {
	CONTROL_OK,      /* durable, live, published (or the rule found nothing to change) */
	CONTROL_REFUSED, /* run returned a code other than 0: w->code */
	CONTROL_FAILED,  /* store or engine failed; nothing has changed: code 4 */
	CONTROL_TIMEOUT, /* the engine did not answer in time; nothing has changed: code 3 */
	CONTROL_BUSY,    /* unless_sessions met a session: DeleteiSCSINode's 4097 */
};

/* One write, in the caller's memory until done is called; embed it. */
struct control_write {
	/* The rule on the newest state.  May run several times (on a later state each time): its
	 * last run counts.  Returns the rule's code. */
	uint32_t (*run)(struct control_write *w, const struct san_state *s,
			const struct san_env *env, struct san_changes *ch, struct err *e);
	/* state: what is published now and holds the result (borrowed for the call).  e: the
	 * sentence when o is not CONTROL_OK.  w may be freed in here. */
	void (*done)(struct control_write *w, enum control_outcome o, const struct san_state *state,
		     const struct err *e);
	uint32_t code; /* what run returned last */
	/* What the target knows of its sessions is asked for before run: who has logged out a moment
	 * ago is no session any more. */
	bool refresh;
	/* The thread that submits it has nothing better to do for as long as a commit takes, some
	 * hundred microseconds: control_submit may do it all, and have called done when it returns.
	 * What has to wait for a target, or a disk that is slow, goes to control's own thread. */
	bool here;
	/* control's own: */
	struct control_write *next;
	uint64_t wait_until; /* monotonic ns: no longer for a target that is not there */
	void *waiter;
};

/* Told after each publication, on the thread that is the writer, before the answers: effects are all
 * objects that came, went or became another between was and now. */
typedef void control_observer(void *ctx, const struct san_state *was, const struct san_state *now,
			      const struct san_changes *effects);

struct control_portal_option { /* one --portal */
	char address[SAN_ADDRESS_TEXT];
	uint16_t tcp_port;
};

struct control_config {
	const char *state_dir;                       /* exists; the store is in it already open */
	struct san_settings *settings;               /* taken over; loopback is set by control */
	const struct control_portal_option *portals; /* --portal; copied */
	size_t n_portals;
	const char *const *devices; /* --device: absolute paths; copied */
	size_t n_devices;
	/* How long a write waits for a target that is being started again; 0: 3 s. */
	unsigned patience_ms;
	unsigned here_us; /* the longest commit for control_write.here; 0: 2 ms */
	bool watch_network;         /* false in tests: control_network_set tells instead */
	control_observer *observer; /* or NULL */
	void *observer_ctx;
};

/* Opens nothing by itself: store is open and stays the caller's to close after
 * control_free; engine has not been started, is started here and stays the caller's to free
 * after control_free. */
int control_new(const struct control_config *cfg, struct store *store, struct engine *engine,
		struct control **ret, struct err *e) MUST_CHECK;

/* Wait until addresses are known and the target has taken its configuration (the server is
 * ready then); -ETIMEDOUT with the reason. */
int control_wait_ready(struct control *c, unsigned timeout_ms, struct err *e) MUST_CHECK;

/* Finish what is queued, stop the engine (keep: the target goes on serving), free. */
void control_free(struct control *c, bool keep_target);

/* The published state; the caller unrefs it (AUTO(san_state)).  Never NULL. */
struct san_state *control_state_get(struct control *c) MUST_CHECK;

/* Queue a write.  After control_free began: done is called at once with CONTROL_FAILED. */
void control_submit(struct control *c, struct control_write *w);
/* The same, waiting for the outcome (w->done is not used); not from run or done. */
enum control_outcome control_write_wait(struct control *c, struct control_write *w, struct err *e);

/* The target's statistics; -errno when it does not answer in time. */
int control_stats(struct control *c, struct engine_stats *ret, struct err *e) MUST_CHECK;

/* Tell the network by hand (tests; watch_network false).  Copied. */
void control_network_set(struct control *c, const struct san_seen_network *seen);
