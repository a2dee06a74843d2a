/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h - the things smiscsi-target is made of, and who owns them
 *
 * struct target   the process: configuration, registry of sessions, workers
 *   node ── port ── binding ── portal       what is configured
 *   node ── lun ── unit                     ... and which units are behind it
 *   worker                                  one event loop thread
 *     session                               pinned to one worker
 *       connection, task                    pinned to their session's worker
 *
 * Configuration objects and the registry are guarded by target.lock; it is taken for
 * configuration, login, logout, discovery and reports, never for a command.  Objects
 * that a session uses are counted (refs, under the lock), so that removing them from
 * the configuration does not wait for it.  Sessions, connections and tasks are touched
 * by their worker alone, except for the fields said to be under the lock.
 *
 * Depends on: base iscsi scsi.
 */
#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "iscsi/login.h"
#include "iscsi/response.h"
#include "scsi/scsi.h"
#include "target/loop.h"
#include "target/pool.h"
#include "target/table.h"

/* Everything a peer can make us keep has its limit here or in iscsi/. */
enum {
	WORKERS_MAX = 64,
	SESSIONS_MAX = 32768,
	CONNECTIONS_MAX = 65536,
	MAX_RECV = 262144,              /* MaxRecvDataSegmentLength we declare */
	CMD_WINDOW = 128,               /* commands of one session that we take at once */
	IMMEDIATE_MAX = 64,             /* ... and immediate ones on top */
	TRANSFER_MAX = 32 << 20,        /* data of one command */
	SESSION_BUFFER_MAX = 256 << 20, /* data of all commands of a session */
	WORKER_BUFFER_MAX = 1 << 30,    /* ... and of all sessions of a worker */
	R2T_MAX = 8,                    /* outstanding for one command */
	TX_BACKLOG_MAX = 1024,          /* PDUs waiting for a slow reader before we stop reading */
	TX_BYTES_AHEAD = 8 << 20, /* ... and data, before further reads wait to be carried out */
	SEND_AT_ONCE =
		256 << 10, /* big data leaves before the next is fetched: both stay in cache */
	TEXT_REQUEST_MAX = 16384,  /* one text request over its continuations */
	TEXT_REPLY_MAX = 64 << 20, /* one discovery answer */
	LOGIN_SECONDS = 15,
	IDLE_SECONDS = 30, /* silence before a ping, and how long its answer may take */
};

struct target;
struct worker;
struct session;
struct connection;

/* ---- configuration (all under target.lock) ---- */
struct login_stats {
	uint64_t logins_ok, logins_other_fail, logins_redirected, authorize_fails;
	uint64_t authenticate_fails, negotiate_fails, logouts_normal, logouts_other;
	uint64_t session_failures;
	int64_t last_failure_us;
	char last_failure_kind[32];
	char last_failure_initiator[ISCSI_NAME_MAX + 1];
	char last_failure_address[64];
};

struct unit {
	struct table_link link; /* by naa */
	unsigned refs;
	uint64_t naa;
	char *path, *kind, *pr_path;
	uint64_t size;
	uint32_t block_size;
	struct store *store;
	struct scsi_lu *lu;
};

struct node {
	struct table_link link; /* by iqn */
	unsigned refs;
	bool gone; /* removed from the configuration */
	bool enabled;
	char iqn[ISCSI_NAME_MAX + 1];
	char alias[ISCSI_ALIAS_MAX + 1];
	struct iscsi_chap_user chap_in, chap_out;
	struct scsi_target *scsi;
	struct port *ports;
	struct lun *luns;
	unsigned sessions; /* normal ones that are logged in */
	struct login_stats stats;
};

struct port {
	struct port *next; /* of the node */
	unsigned refs;
	bool gone, enabled;
	struct node *node;
	uint16_t tpgt;
	struct binding *bindings;
};

/* Where new logins are sent instead; an empty text: they are taken here. */
struct redirect {
	char to[ISCSI_TARGET_ADDRESS_MAX + 1];
	bool permanent;
};

struct binding {
	struct binding *next_of_port, *next_of_portal;
	struct port *port;
	struct portal *portal;
	struct redirect redirect;
};

struct lun {
	struct lun *next; /* of the node */
	struct node *node;
	unsigned number;
	struct unit *unit;
};

enum portal_state {
	PORTAL_FAILED,
	PORTAL_LISTENING,
	PORTAL_DISABLED,
	PORTAL_IN_USE,
	PORTAL_NO_ADDRESS,
};

struct portal {
	struct table_link link; /* by address and port */
	unsigned refs;
	bool gone, enabled;
	char address[64];
	uint16_t port;
	struct sockaddr_storage sa;
	socklen_t sa_len;
	enum portal_state state;
	char why[128];
	struct listener *listener; /* NULL unless listening */
	struct binding *bindings;
};

/* ---- running ---- */
struct worker {
	struct target *target;
	struct loop *loop;
	struct loop_hook hook;
	unsigned index;
	unsigned sessions; /* atomic: for choosing where the next one goes */
	struct pool pool;
	uint64_t lent; /* bytes that go to the pool if they can't be sent in this round */
	struct connection *connections; /* all of this worker, doubly linked */
	unsigned most_connections;      /* since memory was last given back to the system */
	struct connection *dirty;       /* have something to send */
	struct connection *closed;      /* to be freed at the end of the round */
	struct listener *paused;        /* had no resources to accept */
	struct session *all_sessions;
	struct task *free_tasks;
	struct tx *free_txs;
	unsigned n_free_tasks, n_free_txs;
	unsigned parked; /* connections waiting for a session to end */
	struct store_loop *store;
	struct loop_fd store_fd;
	uint8_t *rx_buf; /* bytes just read, of whichever connection; nothing stays in it */
};

struct target {
	pthread_mutex_t lock;
	struct loop *main;
	struct worker *workers;
	unsigned n_workers;
	struct table nodes, portals, units; /* under the lock, and below */
	struct table sessions_by_id;        /* by ISID rule: initiator, ISID, port */
	struct table sessions_by_tsih;
	uint16_t last_tsih;
	uint64_t next_session_id;
	unsigned n_sessions;
	unsigned n_connections; /* atomic */
	unsigned max_connections;
	unsigned next_acceptor; /* main thread */
	unsigned parked;        /* atomic: connections waiting, over all workers */
	unsigned logout_time;
	unsigned idle_time;                                 /* seconds of silence before a ping */
	struct iscsi_chap_user discovery_in, discovery_out; /* under the lock */
	uint64_t generation;
	struct control *control;
	bool stopping;
};

/* Send a message to each worker; run is called there. */
void target_broadcast(struct target *t, void (*run)(struct worker *w));

/* ---- config.c: look-ups and counting, under the lock ---- */
struct node *node_find(struct target *t, const char *iqn);
struct port *port_find(struct node *n, uint32_t tpgt);
struct portal *portal_find(struct target *t, const char *address, uint32_t port);
struct unit *unit_find(struct target *t, uint64_t naa);
/* The port of n that serves initiators which come through p, or NULL. */
struct port *port_on_portal(struct node *n, const struct portal *p);
struct binding *binding_find(const struct port *port, const struct portal *portal);
bool binding_serves(const struct port *port, const struct portal *portal);
/* The portal as TargetAddress has it, with the tag of a port unless that is negative. */
void portal_text(const struct portal *p, int tpgt, char to[static ISCSI_TARGET_ADDRESS_MAX + 1]);
void node_unref(struct node *n);
void port_unref(struct port *p);
void portal_unref(struct portal *p);
