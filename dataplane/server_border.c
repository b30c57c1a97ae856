/* SPDX-License-Identifier: BSD-3-Clause */
/* The API's requests about the border: bans, trust, and the sources that send most. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "dataplane/border.h"
#include "dataplane/handler.h"
#include "platforms/base/clock.h"

enum {
	RATE_MAX = 1000000,
	OVERLAP_LOOK =
		1000000, /* entries of the trust table that one request may have looked at for its networks */
};

#define EXPIRY_MAX     (UINT64_MAX / 4) /* so that no sum of times wraps */
#define CURSOR_TRUSTED (UINT64_C(1) << 63) /* of DP_TRUST_LIST: among the access-controls */

_Static_assert(sizeof(struct dp_ban) % 8 == 0 && sizeof(struct dp_trust) % 8 == 0 &&
		       sizeof(struct dp_source_key) == 32 && sizeof(struct dp_source) % 8 == 0 &&
		       sizeof(struct dp_done) % 8 == 0 && sizeof(struct dp_table_request) % 8 == 0,
	"the API's layout has no padding of the compiler's");
_Static_assert(DP_TOP_MAX * sizeof(struct dp_source) <= BODY_MAX, "all top sources fit into one reply");
_Static_assert(sizeof(((struct dp_ban *)0)->reason) == PREFIX_NOTE, "a ban's reason is its entry's note");

/* Each of the batch; what cannot be done does not stop the rest. */
static int batch(const struct request *q, size_t size,
	int (*each)(struct dataplane *dp, const void *one, uint32_t *looked))
{
	struct dp_done *done = (void *)q->out;
	uint32_t looked = 0;

	if (q->dp->shared.border == NULL)
		return -EOPNOTSUPP;
	if (q->length % size != 0)
		return -EINVAL;
	*done = (struct dp_done){ 0 };
	for (uint32_t i = 0; i < q->length / size; i++) {
		int status = each(q->dp, (const uint8_t *)q->body + i * size, &looked);

		if (status == 0) {
			done->done++;
		} else if (done->status == 0) {
			done->status = status;
			done->failed = i;
		}
	}
	return (int)sizeof(*done);
}

static bool is_text(const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	for (size_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return n < size;
}

static uint64_t expiry(uint64_t from_now_us, uint64_t now_us)
{
	return from_now_us == 0 ? 0 : now_us + from_now_us;
}

/* A host is looked up; a network is held against every trusted source. */
static int may_ban(const struct dataplane *dp, const struct prefix_key *key, uint32_t *looked)
{
	const struct prefix_table *trust = border_trust(dp->shared.border);

	if (key->length != (key->family == 4 ? 32 : 128)) {
		if (*looked > OVERLAP_LOOK)
			return -EAGAIN;
		*looked += prefix_table_count(trust) + prefix_table_count(dp->trusted_sources);
	}
	return prefix_table_overlaps(trust, key) || prefix_table_overlaps(dp->trusted_sources, key) ? -EPERM
												    : 0;
}

static int ban_set(struct dataplane *dp, const void *one, uint32_t *looked)
{
	const struct dp_ban *r = one;
	struct border *b = dp->shared.border;
	uint64_t now_us = clock_now_us();
	struct prefix_entry e = { .expires_us = expiry(r->expires_us, now_us),
		.datagrams = (r->flags & DP_BAN_DATAGRAMS) != 0 };
	bool evicted = false;
	int status = 0;

	if (!source_key_read(&r->key, &e.key) ||
		(r->flags & ~(uint32_t)(DP_BAN_FORCE | DP_BAN_DATAGRAMS)) != 0 ||
		((r->flags & DP_BAN_DATAGRAMS) != 0 && r->key.address.port == 0) ||
		r->expires_us > EXPIRY_MAX || !is_text(r->reason, sizeof(r->reason)))
		return -EINVAL;
	if ((r->flags & DP_BAN_FORCE) == 0)
		status = may_ban(dp, &e.key, looked);
	if (status == 0)
		status = prefix_table_set(border_bans(b), &e, r->reason, now_us, true, &evicted);
	if (evicted)
		counter_add(&dp->counter[DP_COUNTER_BAN_EVICTED], 1);
	return status;
}

static int ban_clear(struct dataplane *dp, const void *one, uint32_t *looked)
{
	struct prefix_key key;

	(void)looked;
	if (!source_key_read(one, &key))
		return -EINVAL;
	return prefix_table_clear(border_bans(dp->shared.border), &key);
}

static int trust_set(struct dataplane *dp, const void *one, uint32_t *looked)
{
	const struct dp_trust *r = one;
	struct prefix_table *trust = border_trust(dp->shared.border);
	uint64_t now_us = clock_now_us();
	struct prefix_entry e = { .expires_us = expiry(r->expires_us, now_us),
		.permit = 1,
		.trusted = 1,
		.rate = r->rate,
		.burst = r->burst };
	bool evicted;

	(void)looked;
	if (!source_key_read(&r->key, &e.key) || r->expires_us > EXPIRY_MAX || r->rate > RATE_MAX ||
		r->burst > RATE_MAX || (r->rate == 0) != (r->burst == 0))
		return -EINVAL;
	/* Places of session-agents are theirs: those of a commit must find them. */
	if (prefix_table_count(trust) - dp->agent_count >= prefix_table_capacity(trust) - dp->agents_most &&
		prefix_table_find(trust, &e.key) == NULL)
		return -ENOSPC;
	return prefix_table_set(trust, &e, NULL, now_us, false, &evicted);
}

/* What the configuration trusts is trusted in its realm alone, what comes by the API in any. */
static bool is_configured(const struct dataplane *dp, struct prefix_key key)
{
	if (prefix_table_find(dp->trusted_sources, &key) != NULL)
		return true;
	for (size_t i = 0; i < dp->config->realms_count; i++) {
		key.scope = dp->realm_number[i];
		if (prefix_table_find(border_trust(dp->shared.border), &key) != NULL)
			return true;
	}
	return false;
}

static int trust_clear(struct dataplane *dp, const void *one, uint32_t *looked)
{
	struct prefix_key key;

	(void)looked;
	if (!source_key_read(one, &key))
		return -EINVAL;
	int status = prefix_table_clear(border_trust(dp->shared.border), &key);
	return status == -ENOENT && is_configured(dp, key) ? -EPERM : status;
}

int handle_ban_set(const struct request *q)
{
	return batch(q, sizeof(struct dp_ban), ban_set);
}

int handle_ban_clear(const struct request *q)
{
	return batch(q, sizeof(struct dp_source_key), ban_clear);
}

int handle_trust_set(const struct request *q)
{
	return batch(q, sizeof(struct dp_trust), trust_set);
}

int handle_trust_clear(const struct request *q)
{
	return batch(q, sizeof(struct dp_source_key), trust_clear);
}

/* A page being filled. */
struct page {
	const struct dataplane *dp;
	struct dp_table_reply *reply;
	uint8_t *entry;
	uint32_t limit, looked;
	uint64_t now_us;
	bool filtered;
	struct prefix_key within;
	/* Puts one entry to `out`; returns its size. */
	size_t (*write)(
		const struct page *p, const struct prefix_table *t, const struct prefix_entry *e, void *out);
};

static int page_begin(struct page *p, const struct request *q, size_t size)
{
	const struct dp_table_request *r = q->body;
	uint32_t most = (uint32_t)((BODY_MAX - sizeof(*p->reply)) / size);

	if (q->dp->shared.border == NULL)
		return -EOPNOTSUPP;
	p->dp = q->dp;
	p->reply = (void *)q->out;
	*p->reply = (struct dp_table_reply){ 0 };
	p->entry = q->out + sizeof(*p->reply);
	p->limit = r->limit < most ? r->limit : most;
	p->now_us = clock_now_us();
	p->filtered = r->within.address.family != 0;
	if (r->limit == 0 || (p->filtered && !source_key_read(&r->within, &p->within)))
		return -EINVAL;
	return 0;
}

static bool page_full(const struct page *p)
{
	return p->reply->count == p->limit || p->looked >= LOOK_MAX;
}

static void page_add(struct page *p, const struct prefix_table *t, const struct prefix_entry *e)
{
	uint64_t expires_us = __atomic_load_n(&e->expires_us, __ATOMIC_RELAXED);

	if ((expires_us != 0 && expires_us <= p->now_us) ||
		(p->filtered && !source_key_overlaps(&p->within, &e->key)))
		return;
	p->entry += p->write(p, t, e, p->entry);
	p->reply->count++;
}

/* From `cursor` on, as far as the page and the time a request may take go. Returns where to go on; 0 = the table's end. */
static uint64_t page_fill(struct page *p, const struct prefix_table *t, uint64_t cursor)
{
	while (!page_full(p)) {
		uint32_t left = LOOK_MAX - p->looked;
		const struct prefix_entry *e = prefix_table_next(t, &cursor, &left);

		p->looked = LOOK_MAX - left;
		if (e == NULL)
			return left == 0 ? cursor : 0;
		page_add(p, t, e);
	}
	return cursor;
}

/* The same with what access-controls trust; their entries, and what met them, are in the access list. */
static uint64_t page_fill_trusted(struct page *p, uint64_t at)
{
	const struct config *c = p->dp->config;
	const struct prefix_table *access = border_access(p->dp->shared.border);

	for (; at < c->access_controls_count; at++) {
		const struct config_access_control *a = &c->access_controls[at];
		struct prefix_key key = { .scope = p->dp->realm_number[a->realm - c->realms],
			.length = a->source.length };
		const struct prefix_entry *e;

		if (page_full(p))
			return at | CURSOR_TRUSTED;
		p->looked++;
		key.family = host_from(&key.ip, &a->source.address);
		prefix_mask(&key.ip, key.family, key.length);
		e = prefix_table_find(access, &key);
		if (e != NULL && e->trusted)
			page_add(p, access, e);
	}
	return 0;
}

static int page_end(const struct page *p, const struct request *q)
{
	return (int)(p->entry - q->out);
}

/* 0 stays "never": an entry that has not expired yet has at least a microsecond left. */
static uint64_t time_left(const struct page *p, const struct prefix_entry *e)
{
	uint64_t expires_us = __atomic_load_n(&e->expires_us, __ATOMIC_RELAXED);

	return expires_us == 0 ? 0 : expires_us - p->now_us;
}

static size_t write_ban(
	const struct page *p, const struct prefix_table *t, const struct prefix_entry *e, void *out)
{
	struct dp_ban *ban = out;

	*ban = (struct dp_ban){ .expires_us = time_left(p, e),
		.age_us = p->now_us - prefix_table_set_us(t, e),
		.packets = __atomic_load_n(&e->hits, __ATOMIC_RELAXED),
		.flags = e->datagrams ? DP_BAN_DATAGRAMS : 0 };
	source_key_write(&e->key, &ban->key);
	snprintf(ban->reason, sizeof(ban->reason), "%s", prefix_table_note(t, e));
	return sizeof(*ban);
}

static size_t write_trust(
	const struct page *p, const struct prefix_table *t, const struct prefix_entry *e, void *out)
{
	struct dp_trust *trust = out;

	(void)t;
	*trust = (struct dp_trust){ .expires_us = time_left(p, e),
		.rate = e->rate,
		.burst = e->burst,
		.configured = e->configured,
		.packets = __atomic_load_n(&e->hits, __ATOMIC_RELAXED) };
	source_key_write(&e->key, &trust->key);
	return sizeof(*trust);
}

int handle_ban_list(const struct request *q)
{
	const struct dp_table_request *r = q->body;
	struct page p = { .write = write_ban };
	int status = page_begin(&p, q, sizeof(struct dp_ban));

	if (status != 0)
		return status;
	p.reply->cursor = page_fill(&p, border_bans(p.dp->shared.border), r->cursor);
	return page_end(&p, q);
}

int handle_trust_list(const struct request *q)
{
	const struct dp_table_request *r = q->body;
	struct page p = { .write = write_trust };
	int status = page_begin(&p, q, sizeof(struct dp_trust));

	if (status != 0)
		return status;
	if ((r->cursor & CURSOR_TRUSTED) == 0)
		p.reply->cursor = page_fill(&p, border_trust(p.dp->shared.border), r->cursor);
	if (p.reply->cursor == 0)
		p.reply->cursor = page_fill_trusted(
			&p, (r->cursor & CURSOR_TRUSTED) != 0 ? r->cursor & ~CURSOR_TRUSTED : 0);
	return page_end(&p, q);
}

static void write_source(const struct dataplane *dp, const struct source_report *s, bool trusted,
	uint64_t now_us, struct dp_source *out)
{
	*out = (struct dp_source){ .address = { .family = s->family, .port = ntohs(s->port) },
		.trusted = trusted,
		.packets = s->packets,
		.dropped = s->dropped,
		.first_us = now_us > s->first_us ? now_us - s->first_us : 0,
		.last_us = now_us > s->last_us ? now_us - s->last_us : 0 };
	memcpy(out->address.ip, s->ip.byte, s->family == 4 ? 4 : 16);
	if (s->interface < dp->started->network_interfaces_count)
		snprintf(out->interface, sizeof(out->interface), "%s",
			dp->started->network_interfaces[s->interface].name);
}

int handle_top_sources(const struct request *q)
{
	const struct dp_top_request *r = q->body;
	const struct border *b = q->dp->shared.border;
	struct dp_source *out = (void *)q->out;
	struct source_report report[2][DP_TOP_MAX];
	unsigned count[2], at[2] = { 0 }, n = 0;
	uint64_t now_us = clock_now_us();

	if (b == NULL)
		return -EOPNOTSUPP;
	if (r->limit == 0 || r->limit > DP_TOP_MAX)
		return -EINVAL;
	for (unsigned trusted = 0; trusted < 2; trusted++)
		count[trusted] = source_table_top(border_sources(b, trusted != 0), report[trusted], r->limit);
	while (n < r->limit && (at[0] < count[0] || at[1] < count[1])) {
		unsigned trusted = at[0] == count[0] ||
				   (at[1] < count[1] && report[1][at[1]].packets > report[0][at[0]].packets);

		write_source(q->dp, &report[trusted][at[trusted]++], trusted != 0, now_us, &out[n++]);
	}
	return (int)(n * sizeof(*out));
}
