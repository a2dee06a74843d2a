/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <stdio.h>

#include "base/str.h"
#include "smiscsi/cli.h"

enum { LEFT = 50 }; /* a command; what is longer has its text on the next line */

static void help_line(FILE *to, const struct cli_command *d)
{
	char left[96];

	(void)snprintf(left, sizeof(left), "%s%s%s %s", d->noun, d->verb ? " " : "",
		       d->verb ? d->verb : "", d->takes);
	if (strlen(left) < LEFT)
		(void)fprintf(to, "  %-*s  %s\n", LEFT, left, d->help);
	else
		(void)fprintf(to, "  %s\n  %*s  %s\n", left, LEFT, "", d->help);
}

static void help(FILE *to)
{
	(void)fputs("usage: smiscsi [option]... NOUN [VERB] [argument]...\n\n"
		    "  --url URL          the server (default $SMISCSI_URL or http://127.0.0.1:5988)\n"
		    "  --user NAME        log in; the password is in $SMISCSI_PASSWORD\n"
		    "  --cacert FILE      trust the certificates in FILE\n"
		    "  --insecure         do not verify the server's certificate\n"
		    "  --timeout SECONDS  give up after that long (default 60)\n"
		    "  --json             print JSON instead of text for people\n"
		    "  --help, --version\n\n",
		    to);
	for (size_t i = 0; i < cli_n_commands; i++)
		help_line(to, &cli_commands[i]);
	(void)fputs("\nA node is named by its IQN or alias, a port by NODE,TAG, a portal by\n"
		    "ADDRESS[:PORT], a volume by its NAA name or ElementName.\n"
		    "Exit codes: 0 done, 1 refused or failed, 2 wrong usage.\n",
		    to);
}

static int usage(const char *fmt, const char *what)
{
	(void)fputs("smiscsi: ", stderr);
	(void)fprintf(stderr, "%s '%s'; see smiscsi --help\n", fmt, what);
	return EXIT_USAGE;
}

static const struct cli_command *find(int argc, char *const *argv, int *at)
{
	for (size_t i = 0; i < cli_n_commands; i++) {
		const struct cli_command *d = &cli_commands[i];

		if (!streq(d->noun, argv[*at]))
			continue;
		if (!d->verb) {
			*at += 1;
			return d;
		}
		if (*at + 1 < argc && streq(d->verb, argv[*at + 1])) {
			*at += 2;
			return d;
		}
	}
	return NULL;
}

/* The commands of a noun, or the one of its verbs.  How many there are. */
static unsigned help_about(FILE *to, const char *noun, const char *verb)
{
	unsigned n = 0;

	for (int pass = 0; pass < 2 && !n; pass++) /* an unknown verb: all of them */
		for (size_t i = 0; i < cli_n_commands; i++) {
			const struct cli_command *d = &cli_commands[i];

			if (!streq(d->noun, noun) ||
			    (!pass && verb && d->verb && !streq(d->verb, verb)))
				continue;
			if (!n++)
				(void)fputs("usage: smiscsi [option]...\n\n", to);
			help_line(to, d);
		}
	if (n)
		(void)fputs("\nThe options are in smiscsi --help.\n", to);
	return n;
}

/* "smiscsi sm --help", "smiscsi sm discover --help", and a noun alone whose verb is missing.
 * false: it is none of these. */
static bool wants_help(int argc, char *const *argv, int at, int *ret)
{
	const char *verb = at + 1 < argc && !str_starts(argv[at + 1], "--") ? argv[at + 1] : NULL;

	for (int i = at + 1; i < argc; i++)
		if (streq(argv[i], "--help")) {
			*ret = EXIT_DONE;
			return help_about(stdout, argv[at], verb);
		}
	*ret = EXIT_USAGE;
	return at + 1 == argc && !find(argc, argv, &at) && help_about(stderr, argv[at], NULL);
}

static int unknown(int argc, char *const *argv, int at)
{
	for (size_t i = 0; i < cli_n_commands; i++)
		if (at + 1 < argc && streq(cli_commands[i].noun, argv[at])) {
			(void)fprintf(stderr, "smiscsi: unknown command '%s %s'; see smiscsi %s --help\n",
				      argv[at], argv[at + 1], argv[at]);
			return EXIT_USAGE;
		}
	return usage("unknown command", argv[at]);
}

enum takes { TAKES_NOT, TAKES_VALUE, TAKES_NOTHING };

/* Is name among the blank-separated words?  A word may end in '+', repeatable, or in '!', without a
 * value. */
static enum takes takes_option(const struct cli_command *d, const char *name)
{
	size_t n = strlen(name);

	for (const char *w = d->options; *w; w += strcspn(w, " "), w += *w == ' ') {
		size_t len = strcspn(w, " +!");

		if (len == n && memcmp(w, name, n) == 0)
			return w[len] == '!' ? TAKES_NOTHING : TAKES_VALUE;
	}
	return TAKES_NOT;
}

static int read_arguments(struct cli *c, const struct cli_command *d, int argc, char *const *argv)
{
	for (int i = 0; i < argc; i++) {
		enum takes takes;

		if (!str_starts(argv[i], "--")) {
			if (c->n_args == d->max_args)
				return usage("too many arguments:", argv[i]);
			c->args[c->n_args++] = argv[i];
			continue;
		}
		if (streq(argv[i], "--json")) {
			c->json = true;
			continue;
		}
		takes = takes_option(d, argv[i] + 2);
		if (takes == TAKES_NOT)
			return usage("this command has no option", argv[i]);
		if (takes == TAKES_VALUE && i + 1 == argc)
			return usage("no value for option", argv[i]);
		if (c->n_options == CLI_MAX_ARGS)
			return usage("too many options:", argv[i]);
		c->options[c->n_options].name = argv[i] + 2;
		c->options[c->n_options++].value = takes == TAKES_VALUE ? argv[++i] : "";
	}
	if (c->n_args < d->min_args) {
		(void)fprintf(stderr, "smiscsi: usage: smiscsi %s %s %s\n", d->noun,
			      d->verb ? d->verb : "", d->takes);
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

/* The options before the noun; *at stops there.  EXIT_DONE to go on, or an exit code in *ret. */
static bool read_options(struct cli *c, struct session_config *cfg, int argc, char *const *argv,
			 int *at, int *ret)
{
	uint64_t seconds;

	for (; *at < argc && str_starts(argv[*at], "--"); ++*at) {
		const char *a = argv[*at], *v = *at + 1 < argc ? argv[*at + 1] : NULL;

		*ret = EXIT_DONE;
		if (streq(a, "--help")) {
			help(stdout);
			return false;
		}
		if (streq(a, "--version")) {
			puts("smiscsi " SMISCSI_VERSION);
			return false;
		}
		if (streq(a, "--json")) {
			c->json = true;
			continue;
		}
		if (streq(a, "--insecure")) {
			cfg->insecure = true;
			continue;
		}
		if (!v) {
			*ret = usage("unknown option, or one without its value:", a);
			return false;
		}
		if (streq(a, "--url")) {
			cfg->url = v;
		} else if (streq(a, "--user")) {
			cfg->user = v;
		} else if (streq(a, "--cacert")) {
			cfg->cacert = v;
		} else if (streq(a, "--timeout") && str_u64(v, strlen(v), 86400, &seconds) &&
			   seconds > 0) {
			cfg->timeout_ms = (unsigned)seconds * 1000;
		} else {
			*ret = usage("unknown option, or one with a wrong value:", a);
			return false;
		}
		++*at;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct session_config cfg = {.url = getenv("SMISCSI_URL"),
				     .password = getenv("SMISCSI_PASSWORD"),
				     .timeout_ms = 60000};
	struct cli *c = xcalloc(1, sizeof(*c));
	const struct cli_command *d;
	struct err e = {0};
	int at = 1, ret = EXIT_DONE;

	/* Whatever the terminal's language is, what a CIM server says is UTF-8. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	if (!cfg.url)
		cfg.url = "http://127.0.0.1:5988";
	if (!read_options(c, &cfg, argc, argv, &at, &ret))
		goto out;
	if (at == argc) {
		help(stderr);
		ret = EXIT_USAGE;
		goto out;
	}
	if (wants_help(argc, argv, at, &ret))
		goto out;
	d = find(argc, argv, &at);
	if (!d) {
		ret = unknown(argc, argv, at);
		goto out;
	}
	ret = read_arguments(c, d, argc - at, argv + at);
	if (ret != EXIT_DONE)
		goto out;
	if (!d->local && session_open(&cfg, &c->session, &e) < 0) {
		ret = cli_fail(&e);
		goto out;
	}
	ret = d->run(c);
	session_close(c->session);
	if (fflush(stdout) == EOF && ret == EXIT_DONE)
		ret = cli_failf("the output could not be written");
out:
	free(c);
	return ret;
}
