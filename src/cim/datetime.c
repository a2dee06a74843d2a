/* SPDX-License-Identifier: Apache-2.0 */
#include "cim/cim.h"

/*
 * DSP0004 §5.2.4: a field whose value is not known is all asterisks, and then so are all less
 * significant ones; of the microseconds single trailing digits may be asterisks.
 */
struct scan {
	const char *s;
	bool stars; /* an asterisk was seen: only asterisks may follow */
	bool bad;
};

static unsigned field(struct scan *sc, unsigned width, bool partial)
{
	unsigned v = 0, stars = 0;

	for (unsigned i = 0; i < width; i++) {
		char c = sc->s[i];

		if (c == '*')
			stars++;
		else if (c < '0' || c > '9' || stars || sc->stars)
			sc->bad = true;
		else
			v = v * 10 + (unsigned)(c - '0');
	}
	if (stars && stars < width && !partial)
		sc->bad = true;
	if (stars)
		sc->stars = true;
	sc->s += width;
	return v;
}

static unsigned days_in(unsigned year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return days[month - 1];
}

bool cim_datetime_ok(const char *s, size_t n)
{
	struct scan sc = {.s = s};
	unsigned hour, minute, second;

	if (n != 25 || s[14] != '.')
		return false;
	if (s[21] == ':') {
		(void)field(&sc, 8, false);
	} else {
		unsigned year = field(&sc, 4, false);
		bool year_known = !sc.stars;
		unsigned month = field(&sc, 2, false);
		bool month_known = !sc.stars;
		unsigned day = field(&sc, 2, false);
		bool day_known = !sc.stars;

		if (month_known && (month < 1 || month > 12))
			return false;
		if (day_known && year_known && month_known &&
		    (day < 1 || day > days_in(year, month)))
			return false;
	}
	hour = field(&sc, 2, false);
	minute = field(&sc, 2, false);
	second = field(&sc, 2, false);
	sc.s++;
	(void)field(&sc, 6, true);
	if (sc.bad || hour > 23 || minute > 59 || second > 59)
		return false;
	if (s[21] == ':')
		return memcmp(s + 22, "000", 3) == 0;
	if (s[21] != '+' && s[21] != '-')
		return false;
	for (unsigned i = 22; i < 25; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return true;
}

static void put(char *at, unsigned width, uint64_t v)
{
	for (unsigned i = width; i-- > 0; v /= 10)
		at[i] = (char)('0' + v % 10);
}

enum { US_PER_S = 1000000, S_PER_DAY = 86400 };

static void put_time(char *at, uint64_t second_of_day, uint64_t us)
{
	put(at, 2, second_of_day / 3600);
	put(at + 2, 2, second_of_day / 60 % 60);
	put(at + 4, 2, second_of_day % 60);
	at[6] = '.';
	put(at + 7, 6, us);
}

void cim_datetime_put(char at[static 26], int64_t us)
{
	/* 0000-03-01 to 9999-12-31, the years that four digits can tell */
	static const int64_t min = -62162035200LL * US_PER_S, max = 253402300800LL * US_PER_S - 1;
	/* days from 0000-03-01, the era's start that puts the leap day at the end of a year
	 * (proleptic Gregorian calendar, 400 years = 146097 days) */
	static const int64_t epoch = 719468;
	uint64_t t, days, era, of_era, year_of_era, of_year, month;

	if (us < min)
		us = min;
	if (us > max)
		us = max;
	t = (uint64_t)(us + epoch * S_PER_DAY * US_PER_S);
	days = t / US_PER_S / S_PER_DAY;
	era = days / 146097;
	of_era = days % 146097;
	year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * of_year + 2) / 153; /* 0 = March */
	put(at, 4, era * 400 + year_of_era + (month >= 10));
	put(at + 4, 2, month < 10 ? month + 3 : month - 9);
	put(at + 6, 2, of_year - (153 * month + 2) / 5 + 1);
	put_time(at + 8, t / US_PER_S % S_PER_DAY, t % US_PER_S);
	memcpy(at + 21, "+000", 5);
}

bool cim_datetime_get(const char *s, size_t n, int64_t *ret_us)
{
	struct scan sc = {.s = s};
	int64_t year, month, day, seconds, us, minutes, days;

	if (!cim_datetime_ok(s, n) || s[21] == ':')
		return false;
	year = field(&sc, 4, false);
	month = field(&sc, 2, false);
	day = field(&sc, 2, false);
	seconds = field(&sc, 2, false) * 3600;
	seconds += field(&sc, 2, false) * 60;
	seconds += field(&sc, 2, false);
	sc.s++;
	us = field(&sc, 6, true);
	if (sc.stars)
		return false;
	sc.s++;
	minutes = field(&sc, 3, false);
	if (s[21] == '-')
		minutes = -minutes;
	/* years begin in March, as above; year 0 before March is year -1 */
	year -= month <= 2;
	month = month > 2 ? month - 3 : month + 9;
	days = 365 * year + (year >= 0 ? year / 4 - year / 100 + year / 400 : -1) +
	       (153 * month + 2) / 5 + day - 1 - 719468;
	*ret_us = ((days * S_PER_DAY + seconds) - minutes * 60) * US_PER_S + us;
	return true;
}

void cim_interval_put(char at[static 26], uint64_t us)
{
	uint64_t s = us / US_PER_S, days = s / S_PER_DAY;

	put(at, 8, days < 100000000 ? days : 99999999);
	put_time(at + 8, s % S_PER_DAY, us % US_PER_S);
	memcpy(at + 21, ":000", 5);
}
