/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - sessions, connections and tasks of one worker (RFC 7143 sections 4 and 11)
 *
 * The files behind it:
 *   connection.c  the socket: bytes in through iscsi_rx, PDUs out in one sendmsg a round
 *   login.c       the login phase: registry, reinstatement, which worker
 *   session.c     full feature phase: order of commands, everything that isn't SCSI
 *   task.c        SCSI commands: data in, data out, R2T, responses, task management
 *   discovery.c   what SendTargets answers
 *
 * Depends on: base iscsi scsi.  Threads: the worker's, except as said.
 */
#pragma once

#include "target/target.h"

/* One PDU on its way out. */
struct tx {
	struct tx *next;
	uint8_t hdr[ISCSI_BHS_LEN + ISCSI_DIGEST_LEN];
	uint8_t tail[3 + ISCSI_DIGEST_LEN];
	uint8_t hdr_len, tail_len;
	bool close_after;
	const uint8_t *data;
	uint32_t data_len;
	bool lent;         /* data is only lent to the task: see connection_keep() */
	struct task *task; /* holds the data until it is sent */
	uint8_t *own;      /* ... or a buffer of the pool that goes with it */
	uint32_t own_size;
	uint8_t small[SCSI_SENSE_MAX + 4]; /* ... or bytes that fit here */
};

struct r2t {
	uint32_t ttt, offset, len, got, next_data_sn;
};

enum task_state {
	TASK_ARRIVING, /* its PDU is not wholly in, or waits for its CmdSN; so may data be */
	TASK_WANTS_DATA,
	TASK_DEFERRED, /* ready, but its connection has enough to send */
	TASK_RUNNING,  /* in the SCSI room */
	TASK_ANSWERED, /* only its PDUs are left */
};

/*
 * One request PDU, from its header to its last byte sent.  Requests other than SCSI
 * commands use it until they are answered, for their data and their place in the order.
 */
struct task {
	struct task *next;      /* free list; out-of-order list; task management that waits */
	struct task *hash_next; /* of session.tasks */
	struct task *all_next,
		**all_pprev; /* session.all_tasks: those delivered and not answered */
	unsigned refs;       /* 1 until answered or dropped, and one per tx */
	struct worker *worker;
	struct session *session;
	struct connection *conn; /* whence it came; NULL once that is closed */
	struct iscsi_req req;
	enum task_state state;
	bool hashed, aborted, begun;
	bool bidirectional; /* data both ways announced: no command here has that */
	bool unsolicited;   /* Data-Out that nobody asked for is still to come */
	bool bad_data;      /* data came that did not fit; the rest is thrown away */
	uint8_t n_r2t;
	uint8_t *buf;
	uint32_t buf_size;   /* while something is lent: what keeping it will take */
	const uint8_t *lent; /* where it was lent, also when it is in buf by now */
	uint32_t want;       /* bytes of data-out that the command takes */
	uint32_t got;        /* ... and how many are in, from offset 0 on */
	uint32_t solicited;  /* ... and how many were asked for or came unasked */
	uint32_t r2t_sn, data_sn;
	uint32_t unsolicited_data_sn;
	uint32_t bidi_read_len; /* what came with bidirectional */
	struct tmf *tmf;        /* is told when this task has ended */
	struct scsi_task scsi;
	/* From scsi.cdb on nothing is cleared for a new task. */
	struct r2t r2t[R2T_MAX]; /* n_r2t of them, the oldest first */
};

enum { TASK_BUCKETS = 64 };

struct session {
	struct session *next, **pprev;    /* of the worker */
	struct table_link by_id, by_tsih; /* registry, under the lock */
	unsigned refs;                    /* under the lock */
	bool up;                          /* under the lock: logged in */
	bool told;                        /* under the lock: the controller knows of it */
	bool changed;                     /* under the lock: is in control's list of changes */
	struct session *next_changed;
	bool dying; /* atomic; written by the worker under the lock */
	struct target *target;
	struct worker *worker; /* changes under the lock, once, in session_place() */
	bool placed;
	bool moving;         /* its one connection is a message on the way to worker */
	bool kill_when_here; /* ... and is to be closed when it arrives */
	uint64_t id;
	enum iscsi_session_type type;
	enum iscsi_auth auth;
	char initiator[ISCSI_NAME_MAX + 1];
	char initiator_alias[ISCSI_ALIAS_MAX + 1];
	uint8_t isid[6];
	uint16_t tsih;
	int64_t since_us;
	struct node *node; /* NULL for discovery */
	struct port *port;
	struct scsi_nexus *nexus;
	struct iscsi_keys keys;
	struct connection *connections; /* changed under the lock, too */
	unsigned n_connections;

	uint32_t exp_cmd_sn;
	uint32_t outstanding; /* commands of the window that are delivered and not answered */
	uint32_t immediate;   /* the same for immediate ones */
	uint32_t next_ttt;
	unsigned n_tasks; /* all that exist; the session lives until it is 0 */
	uint64_t buffered;
	struct task *out_of_order;        /* sorted by CmdSN */
	struct task *patient;             /* task management that waits for earlier commands */
	struct task *tasks[TASK_BUCKETS]; /* by ITT */
	struct task *all_tasks;
	/* relaxed atomics, written by the worker */
	uint64_t commands, read_bytes, write_bytes, digest_errors, timeouts;
};

enum connection_state { CONN_LOGIN, CONN_PARKED, CONN_FULL_FEATURE, CONN_CLOSING };

struct connection {
	struct loop_fd fd;
	struct loop_post post;            /* when it moves to another worker */
	struct connection *next, **pprev; /* of the worker */
	struct connection *next_of_session;
	struct connection *next_dirty, *next_closed;
	struct worker *worker;
	struct portal *portal;
	struct session *session;
	enum connection_state state;
	bool is_dirty, want_out, blocked_in, bulk, is_closed;
	bool login_op_seen;
	uint16_t cid;
	bool stat_sn_known;
	uint32_t stat_sn;
	uint32_t max_send, max_recv;
	struct iscsi_rx rx;
	struct task *rx_task; /* whose data is coming in */
	struct iscsi_req rx_req;
	struct tx *tx_head, **tx_tail;
	uint32_t tx_sent; /* bytes of tx_head that are out */
	unsigned tx_count;
	uint64_t tx_bytes; /* of data in that queue */
	unsigned tx_lent;  /* PDUs in it whose data are lent */
	struct task *deferred, **deferred_tail;

	struct iscsi_login *login;
	uint8_t *login_data;
	struct text *text; /* a text negotiation that goes on over several PDUs */

	uint64_t heard_ns;    /* when bytes came in last */
	uint64_t deadline_ns; /* login, logout asked for, ping: close when it has passed; 0: none */
	uint32_t ping_ttt;
	bool pinged, leaving, logged_out;
	struct sockaddr_storage peer, local;
	char peer_text[64], local_text[64];
	bool header_digest, data_digest;
};

/* connection.c */
void connection_accepted(struct worker *w, int fd, struct portal *p,
			 const struct sockaddr_storage *peer);
void connection_close(struct connection *c); /* at once; c is freed at the end of the round */
/* Watch the socket again, in the worker the connection has moved to. */
bool connection_watch(struct connection *c);
void connection_unwatch(struct connection *c);
void connection_link(struct connection *c, struct worker *w);
void connection_unlink(struct connection *c);
/* Bytes of login, text and ping data: never bigger than our MaxRecvDataSegmentLength. */
struct tx *tx_new(struct connection *c);
/* Queue it: digests and padding are added here. */
void connection_send(struct connection *c, struct tx *x);
void connection_mark_dirty(struct connection *c);
void connection_flush_dirty(struct worker *w);
void connection_forget_dirty(struct connection *c); /* before it moves to another worker */
void connections_free_closed(struct worker *w);
/*
 * What is queued and only lent is read into buffers: all of it, or with `before` only what that
 * command is about to change.  False: it can't be read any more, and c must be closed.
 */
bool connection_keep(struct connection *c, const struct task *before);
struct iscsi_sns connection_sns(struct connection *c, bool takes_stat_sn);
void connection_reject(struct connection *c, enum iscsi_reject_reason why, const uint8_t *bhs,
		       bool close_after);
void address_text(const struct sockaddr_storage *sa, char to[static 64]);

/* login.c */
/* rx.hdr and login_data are whole.  Returns false when c is closed, waits, or has gone to
 * another worker: the caller may not touch it. */
bool login_request(struct connection *c);
void login_retry_parked(struct worker *w);

/* session.c */
void session_header(struct connection *c); /* full feature phase: a header is in */
void session_pdu(struct connection *c);    /* ... and the whole PDU */
void session_bad_data(struct connection *c);
void session_unref_locked(struct session *s);
/*
 * A session that has had a command, and rests for the moment, goes to the worker that has the
 * fewest: logins that come to nothing are not worth a move.  c is its only connection and may not
 * be touched when this returns true.
 */
bool session_place(struct connection *c);
/* A new session becomes known to its worker, in whose thread this is. */
void session_link(struct session *s);
/* End it: connections closed, tasks aborted.  Worker thread. */
void session_kill(struct session *s, const char *why);
/* k has arrived for its place in the order of commands: deliver it and whatever it held up, or
 * keep it until its turn.  Ignored outside the window. */
void session_in_order(struct session *s, struct task *k);
/* One task less; ends the dying session when it was the last. */
void session_task_gone(struct session *s);
void session_leave(struct session *s, struct connection *c); /* c is being closed */
uint32_t session_max_cmd_sn(const struct session *s);
void connection_ask_logout(struct connection *c, unsigned seconds);
void connection_ping(struct connection *c);
void text_free(struct text *t);

/* task.c */
struct task *task_new(struct connection *c);
void task_unref(struct task *k);
void task_set_buf(struct task *k, uint32_t size);
/* What is lent to it goes into its buf, from there on; see connection_keep(). */
bool task_keep(struct task *k, uint32_t from);
bool task_header(struct task *k,
		 struct connection *c); /* a SCSI command's buffer; false: refused */
void task_deliver(struct task *k);
/* Carry out what waited for the queue of c to get shorter; true when there was something. */
bool tasks_run_deferred(struct connection *c);
void task_data_out_header(struct connection *c, const struct iscsi_req *q);
void task_data_out(struct connection *c);
void task_management(struct task *k);
/* Commands have been delivered: carry out the task management that waited for them. */
void task_management_patient(struct session *s);
struct task *task_find(struct session *s, uint32_t itt);
/* Forget what has not begun to run, and let the rest end unseen.  Those of c, or all. */
void tasks_abort(struct session *s, const struct connection *c);

/* discovery.c */
/* Append the answer to SendTargets=what; false: there is none (Reject). */
bool discovery_answer(struct connection *c, const char *what, struct buf *b);
