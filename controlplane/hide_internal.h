/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the hide files: one crossing of a message, the table's rows, and the shapes in which values cross. */
#ifndef CONTROLPLANE_HIDE_INTERNAL_H
#define CONTROLPLANE_HIDE_INTERNAL_H

#include "controlplane/hide.h"

enum {
	HIDE_VALUES_MAX = 16, /* of one comma-separated list; more are not copied */
	HIDE_TOKENS_MAX = 256, /* bytes of a value that is made of tokens */
	HIDE_URI_MAX = 512
};

/* One message on its way from one leg to the other. */
struct hide_way {
	const struct message *message;
	const struct leg *from, *to;
	enum hide_kind kind;
	bool privacy_known, diverted; /* diverted: it has History-Info or Diversion */
	bool told; /* identity.c has something to say to this side */
	unsigned privacy; /* hide_way_privacy */
	unsigned identities; /* bits of what P-Asserted-Identity has had: sip, tel */
	char host[ADDRESS_TEXT_MAX]; /* ours, as the receiver sees it; "" until hide_way_host */
};

typedef void (*hide_copy)(struct hide_way *way, struct span name, struct span value, struct writer *out);

struct hide_row {
	struct span name;
	unsigned kinds; /* of enum hide_kind */
	hide_copy copy;
};

/* hide_table.c: the row of a header in its long or compact form; NULL: it does not cross. */
const struct hide_row *hide_row_find(struct span name);
/* True for names that are always ours, whatever the configuration says. */
bool hide_is_ours(struct span name);

/* hide.c */
struct span hide_way_host(struct hide_way *way);
/* Names of the configuration; a '*' at the end stands for anything. */
bool hide_is_listed(const struct config_strings *names, struct span name);
/* The next value of a comma-separated list, commas in quotes and <> not counted; false at its end. Linear over all of them. */
bool hide_list_next(struct span *rest, struct span *value);
/* The next parameter `;name[=value]` behind an address or token; value as written, quotes included. */
bool hide_parameter_next(struct span *rest, struct span *name, struct span *value);

/* hide_value.c: shapes */
void hide_line(struct span name, struct span value, struct writer *out);
bool hide_is_token(struct span s);
/* Dots as in host names and addresses, not as in "0.8" and "Q.850". */
bool hide_names_a_host(struct span value);
void hide_copy_verbatim(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_credentials(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_number(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_retry(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_types(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_reason(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_alert(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_call_info(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_warning(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_session_id(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_user_to_user(struct hide_way *way, struct span name, struct span value, struct writer *out);

/* hide_words.c */
/* `words` ends with NULL; any case. */
bool hide_is_word(const char *const *words, struct span word);
void hide_copy_words(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_languages(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_resource(struct hide_way *way, struct span name, struct span value, struct writer *out);

/* hide_feature.c (RFC 3840, 3841, 6809) */
void hide_copy_features(struct hide_way *way, struct span name, struct span value, struct writer *out);

/* hide_address.c */
/* A user written as in a URI of ours: <sip:USER@HOST>, with ;user=phone for a telephone number that had it; a tel URI stays one if
 * `tel` is set. */
void hide_write_uri(const struct sip_uri *uri, struct span host, bool tel, struct writer *out);

/* hide_privacy.c */
/* What of the sender's wishes (enum hide_privacy) is carried out here. */
unsigned hide_way_privacy(struct hide_way *way);
void hide_copy_privacy(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_asserted(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_preferred(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_remote_party(struct hide_way *way, struct span name, struct span value, struct writer *out);

/* hide_history.c: the rows note that there is one, hide_diversions writes them all. */
void hide_note_diversion(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_diversions(struct hide_way *way, struct writer *out);
/* The INVITE goes where a redirection that we have followed leads: that is a diversion too. */
bool hide_diverted_here(const struct hide_way *way);

/* hide_dialog.c */
void hide_copy_dialog(struct hide_way *way, struct span name, struct span value, struct writer *out);
void hide_copy_referred_by(struct hide_way *way, struct span name, struct span value, struct writer *out);

#endif
