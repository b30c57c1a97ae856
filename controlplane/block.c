/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of dropped packets: what a head of a packet tells people, and who gives way to whom. */
#include "controlplane/block.h"

#include <stdlib.h>
#include <string.h>

#include "platforms/base/hash.h"

struct entry {
	uint64_t number; /* counts up from 1; 0 = empty */
	uint8_t key[17]; /* family, and the source's address as far as it is one source */
	union address source;
	struct cp_block block;
};

struct block_store {
	struct hash_key hash;
	uint64_t last;
	struct entry entry[BLOCK_SETS][BLOCK_SET_SAMPLES];
};

struct block_store *block_new(void)
{
	struct block_store *store = calloc(1, sizeof(*store));

	if (store)
		hash_key_random(&store->hash);
	return store;
}

void block_free(struct block_store *store)
{
	free(store);
}

/* --- what is in a packet --------------------------------------------------------------------------------------------- */

struct octets {
	const uint8_t *p;
	size_t n;
};

/* Cuts the first n off; false: so many are not there. */
static bool skip(struct octets *rest, size_t n)
{
	if (rest->n < n)
		return false;
	rest->p += n;
	rest->n -= n;
	return true;
}

static unsigned word(const struct octets *o, size_t at)
{
	return (unsigned)o->p[at] << 8 | o->p[at + 1];
}

/* Ethernet and up to two VLAN tags; *type: what follows. */
static bool skip_link(struct octets *rest, unsigned *type)
{
	unsigned tags = 0;

	if (!skip(rest, 12) || rest->n < 2)
		return false;
	while ((*type = word(rest, 0)) == 0x8100 || *type == 0x88a8)
		if (++tags > 2 || !skip(rest, 4) || rest->n < 2)
			return false;
	return skip(rest, 2);
}

/* IPv4, or IPv6 without extension headers; *protocol: what follows. Later fragments have no ports. */
static bool skip_network(struct octets *rest, unsigned type, unsigned *protocol)
{
	if (type == 0x0800) {
		size_t header = rest->n >= 20 ? (rest->p[0] & 15) * 4u : 0;

		if (header < 20 || (word(rest, 6) & 0x1fff) != 0)
			return false;
		*protocol = rest->p[9];
		return skip(rest, header);
	}
	if (type != 0x86dd || rest->n < 40)
		return false;
	*protocol = rest->p[6];
	return skip(rest, 40);
}

static bool skip_transport(struct octets *rest, unsigned protocol)
{
	if (protocol == 17)
		return skip(rest, 8);
	return protocol == 6 && rest->n >= 20 && skip(rest, (rest->p[12] >> 4) * 4u);
}

/* RFC 3261 sections 7.1 and 7.2. A start line that does not end in what was captured is known by its beginning. */
static bool is_start_line(struct span line, bool whole)
{
	static const struct span version = { "SIP/2.0", 7 };
	struct span rest = line;
	struct span method = span_cut(&rest, ' ');

	if (span_equal_case(method, version))
		return true;
	for (size_t i = 0; i < method.n; i++)
		if (method.p[i] < 'A' || method.p[i] > 'Z')
			return false;
	if (method.n == 0)
		return false;
	if (whole)
		return rest.n > version.n && rest.p[rest.n - version.n - 1] == ' ' &&
		       span_equal_case((struct span){ rest.p + rest.n - version.n, version.n }, version);
	return span_starts_case(rest, SPAN("sip:")) || span_starts_case(rest, SPAN("sips:")) ||
	       span_starts_case(rest, SPAN("tel:"));
}

/* RFC 3261 section 19.1.1: an address may carry a password and headers, Authorization among them. What is cut off may have been the
 * '@', so what looks like a port is none unless it is a number. */
static void hide_secrets(char *line)
{
	size_t space = strcspn(line, " "), scheme = space + strcspn(line + space, ":");
	size_t end = scheme + strcspn(line + scheme, " "), colon = scheme + 1, at = scheme;

	if (line[scheme] == '\0' || end == scheme)
		return;
	while (at < end && line[at] != '@')
		at++;
	size_t headers = (at < end ? at : scheme) + strcspn(line + (at < end ? at : scheme), "? ");
	for (size_t i = at; i < headers; i++)
		at = line[i] == '@' ? i : at;
	colon += strcspn(line + colon, ":[@ ");
	if (at == end && (line[end] != '\0' || line[colon] != ':' ||
				 colon + 1 + strspn(line + colon + 1, "0123456789") >= end))
		at = scheme; /* a host and its port */
	if (line[colon] == ':')
		for (size_t i = colon + 1; i < at; i++)
			line[i] = '*';
	for (size_t i = headers + 1; i < end; i++)
		line[i] = '*';
}

static void show_line(struct span line, char out[CP_LINE_MAX])
{
	line.n = line.n < CP_LINE_MAX - 1 ? line.n : CP_LINE_MAX - 1;
	for (size_t i = 0; i < line.n; i++)
		out[i] = line.p[i] >= ' ' && line.p[i] <= '~' ? line.p[i] : '?';
	out[line.n] = '\0';
	if (strncmp(out, "SIP/", 4) != 0)
		hide_secrets(out);
}

/* The first line of a SIP message, as far as it may be shown; empty: it is none. */
static void first_line(const uint8_t *data, size_t captured, char out[CP_LINE_MAX])
{
	struct octets rest = { data, captured };
	unsigned type, protocol;
	struct span line;
	bool whole = false;

	out[0] = '\0';
	if (!skip_link(&rest, &type) || !skip_network(&rest, type, &protocol) ||
		!skip_transport(&rest, protocol))
		return;
	line = (struct span){ (const char *)rest.p, 0 };
	while (line.n < rest.n && !whole) {
		whole = line.p[line.n] == '\r' || line.p[line.n] == '\n';
		line.n += !whole;
	}
	if (!is_start_line(line, whole))
		return;
	show_line(line, out);
}

/* --- who gives way --------------------------------------------------------------------------------------------------- */

static void source_key(const struct dp_address *source, uint8_t key[17])
{
	memset(key, 0, 17);
	key[0] = source->family;
	memcpy(key + 1, source->ip, source->family == 6 ? 8 : 4);
}

struct place {
	unsigned count;
	struct entry *oldest;
};

static void place_count(struct place *place, struct entry *entry)
{
	place->count++;
	if (!place->oldest || entry->number < place->oldest->number)
		place->oldest = entry;
}

static struct entry *make_room(struct entry *set, const uint8_t key[17], uint32_t counter)
{
	struct place all = { 0 }, source = { 0 }, reason = { 0 };

	for (unsigned i = 0; i < BLOCK_SET_SAMPLES; i++) {
		place_count(&all, &set[i]); /* empty ones are the oldest */
		if (set[i].number == 0 || memcmp(set[i].key, key, 17) != 0)
			continue;
		place_count(&source, &set[i]);
		if (set[i].block.counter == counter)
			place_count(&reason, &set[i]);
	}
	if (reason.count >= BLOCK_PER_REASON)
		return reason.oldest;
	return source.count >= BLOCK_PER_SOURCE ? source.oldest : all.oldest;
}

/* --- interface ------------------------------------------------------------------------------------------------------- */

static void copy_text(char *out, size_t size, const char *text)
{
	struct writer w;

	memset(out, 0, size);
	writer_init(&w, out, size - 1);
	writer_text(&w, text);
}

static void print_address(const struct dp_address *from, char out[CP_ADDRESS_MAX], union address *address)
{
	char text[ADDRESS_TEXT_MAX];

	dp_address_to(from, address);
	out[0] = '\0';
	if (address_is_set(address))
		copy_text(out, CP_ADDRESS_MAX,
			from->port ? address_print(address, text) : address_print_host(address, text));
}

void block_add(struct block_store *store, const struct dp_sample *sample, const uint8_t *octets,
	const char *interface, uint64_t wall_ms)
{
	union address dest;
	struct entry *entry;
	uint8_t key[17];

	if (sample->source.family != 4 && sample->source.family != 6)
		return;
	source_key(&sample->source, key);
	entry = make_room(
		store->entry[hash_bytes(&store->hash, key, sizeof(key)) % BLOCK_SETS], key, sample->counter);
	*entry = (struct entry){ .number = ++store->last };
	memcpy(entry->key, key, sizeof(key));
	entry->block = (struct cp_block){ .number = entry->number,
		.wall_ms = wall_ms,
		.counter = sample->counter,
		.length = sample->length,
		.protocol = sample->protocol };
	print_address(&sample->source, entry->block.source, &entry->source);
	print_address(&sample->dest, entry->block.dest, &dest);
	copy_text(entry->block.interface, sizeof(entry->block.interface), interface);
	first_line(octets, sample->captured, entry->block.line);
}

void block_add_note(struct block_store *store, const struct block_note *note)
{
	struct dp_address source, dest;
	union address ignored;
	char line[CP_LINE_MAX];
	struct entry *entry;
	struct writer w;
	uint8_t key[17];

	dp_address_from(&source, note->source);
	dp_address_from(&dest, note->dest);
	if (source.family == 0)
		return;
	source_key(&source, key);
	entry = make_room(
		store->entry[hash_bytes(&store->hash, key, sizeof(key)) % BLOCK_SETS], key, note->counter);
	*entry = (struct entry){ .number = ++store->last };
	memcpy(entry->key, key, sizeof(key));
	entry->block = (struct cp_block){ .number = entry->number,
		.wall_ms = note->wall_ms,
		.counter = note->counter,
		.protocol = note->protocol };
	print_address(&source, entry->block.source, &entry->source);
	print_address(&dest, entry->block.dest, &ignored);
	copy_text(entry->block.interface, sizeof(entry->block.interface), note->place);
	writer_init(&w, line, sizeof(line));
	writer_span(&w, note->method);
	writer_char(&w, ' ');
	writer_span(&w,
		(struct span){ note->uri.p, note->uri.n < CP_LINE_MAX / 2 ? note->uri.n : CP_LINE_MAX / 2 });
	if (note->method.n && !w.overflow)
		show_line(writer_result(&w), entry->block.line);
}

static bool is_wanted(const struct entry *entry, const struct prefix *source, uint64_t before)
{
	uint16_t port = address_port(&source->address);

	return entry->number != 0 && (before == 0 || entry->number < before) &&
	       prefix_contains(source, &entry->source) && (port == 0 || port == address_port(&entry->source));
}

size_t block_list(const struct block_store *store, const struct prefix *source, uint64_t before, size_t limit,
	struct cp_block *out, bool *more)
{
	const struct entry *chosen[CP_BLOCK_PAGE + 1]; /* newest first, and one to know of */
	const struct entry *entry = &store->entry[0][0];
	size_t count = 0;

	limit = limit < CP_BLOCK_PAGE ? limit : CP_BLOCK_PAGE;
	for (size_t i = 0; i < (size_t)BLOCK_SETS * BLOCK_SET_SAMPLES; i++, entry++) {
		size_t at = count;

		if (!is_wanted(entry, source, before))
			continue;
		while (at > 0 && chosen[at - 1]->number < entry->number)
			at--;
		if (at > limit)
			continue;
		count += count <= limit;
		memmove(&chosen[at + 1], &chosen[at], (count - at - 1) * sizeof(chosen[0]));
		chosen[at] = entry;
	}
	*more = count > limit;
	count = *more ? limit : count;
	for (size_t i = 0; i < count; i++)
		out[i] = chosen[i]->block;
	return count;
}
