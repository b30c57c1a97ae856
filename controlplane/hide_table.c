/* SPDX-License-Identifier: BSD-3-Clause */
/* The allow-list: which headers cross, in which messages, and in which shape. What has no row here does not cross.
 * docs/decisions/0056-what-crosses.md says why. */
#include "controlplane/hide_internal.h"

/* clang-format off */
#define NAME(text)    { text, sizeof(text) - 1 }
#define BEGINNING     (HIDE_INVITE | HIDE_MESSAGE | HIDE_SUBSCRIBE | HIDE_REFER | HIDE_PUBLISH)
#define OFFERS        (HIDE_INVITE | HIDE_REINVITE | HIDE_UPDATE)
#define LATER         (HIDE_REINVITE | HIDE_UPDATE | HIDE_PRACK | HIDE_INFO)
#define IN_CALL       (HIDE_INVITE | LATER)
#define REQUESTS      (BEGINNING | LATER | HIDE_NOTIFY | HIDE_OPTIONS)
#define ANSWERS       (HIDE_PROVISIONAL | HIDE_SUCCESS)
#define EVERYTHING    (REQUESTS | ANSWERS | HIDE_FAILURE | HIDE_ACK | HIDE_BYE | HIDE_CANCEL)

/* By the length of the name: a look-up compares few. Digest challenges and credentials cross untouched: the phone and the PBX share
 * the secret, and each field is part of what they sign. */
enum { NAME_LENGTH_MAX = 22, NAMES_PER_LENGTH = 6 };
static const struct hide_row rows[NAME_LENGTH_MAX + 1][NAMES_PER_LENGTH] = {
	[4] = {
		{ NAME("Join"), HIDE_INVITE, hide_copy_dialog },
	},
	[6] = {
		{ NAME("Accept"), HIDE_SUBSCRIBE, hide_copy_types },
		{ NAME("Reason"), HIDE_BYE | HIDE_CANCEL | HIDE_FAILURE | HIDE_PROVISIONAL, hide_copy_reason },
	},
	[7] = {
		{ NAME("Expires"), HIDE_INVITE | HIDE_MESSAGE, hide_copy_number },
		{ NAME("Privacy"), REQUESTS | ANSWERS, hide_copy_privacy },
		{ NAME("Warning"), HIDE_FAILURE, hide_copy_warning },
	},
	[8] = {
		{ NAME("Priority"), BEGINNING, hide_copy_words },
		{ NAME("Replaces"), HIDE_INVITE, hide_copy_dialog },
	},
	[9] = {
		{ NAME("Call-Info"), HIDE_INVITE, hide_copy_call_info },
		{ NAME("Diversion"), HIDE_INVITE | HIDE_MESSAGE, hide_note_diversion },
		{ NAME("Refer-Sub"), HIDE_REFER | HIDE_SUCCESS, hide_copy_words },
	},
	[10] = {
		{ NAME("Alert-Info"), HIDE_INVITE | HIDE_PROVISIONAL, hide_copy_alert },
		{ NAME("Session-ID"), EVERYTHING, hide_copy_session_id },
	},
	[11] = {
		{ NAME("Answer-Mode"), HIDE_INVITE | HIDE_SUCCESS, hide_copy_words },
		{ NAME("Referred-By"), HIDE_INVITE | HIDE_REFER, hide_copy_referred_by },
		{ NAME("Retry-After"), HIDE_FAILURE, hide_copy_retry },
	},
	[12] = {
		{ NAME("Feature-Caps"), REQUESTS | ANSWERS, hide_copy_features },
		{ NAME("History-Info"), HIDE_INVITE | HIDE_MESSAGE, hide_note_diversion },
		{ NAME("User-to-User"), HIDE_INVITE | ANSWERS | HIDE_FAILURE | HIDE_BYE, hide_copy_user_to_user },
	},
	[13] = {
		{ NAME("Authorization"), REQUESTS | HIDE_ACK, hide_copy_credentials },
		{ NAME("P-Early-Media"), IN_CALL | ANSWERS, hide_copy_words },
		{ NAME("Target-Dialog"), HIDE_INVITE | HIDE_REFER | HIDE_SUBSCRIBE, hide_copy_dialog },
	},
	[14] = {
		{ NAME("Accept-Contact"), BEGINNING, hide_copy_features },
		{ NAME("Reject-Contact"), BEGINNING, hide_copy_features },
	},
	[15] = {
		{ NAME("Accept-Language"), BEGINNING, hide_copy_languages },
		{ NAME("Remote-Party-ID"), OFFERS | ANSWERS, hide_copy_remote_party },
	},
	[16] = {
		{ NAME("Priv-Answer-Mode"), HIDE_INVITE | HIDE_SUCCESS, hide_copy_words },
		{ NAME("WWW-Authenticate"), HIDE_CHALLENGE, hide_copy_verbatim },
	},
	[17] = {
		{ NAME("Resource-Priority"), BEGINNING, hide_copy_resource },
	},
	[18] = {
		{ NAME("Proxy-Authenticate"), HIDE_CHALLENGE, hide_copy_verbatim },
	},
	[19] = {
		{ NAME("Authentication-Info"), HIDE_SUCCESS, hide_copy_verbatim },
		{ NAME("P-Asserted-Identity"), REQUESTS | ANSWERS, hide_copy_asserted },
		{ NAME("Proxy-Authorization"), REQUESTS | HIDE_ACK, hide_copy_credentials },
		{ NAME("Request-Disposition"), BEGINNING, hide_copy_words },
	},
	[20] = {
		{ NAME("P-Preferred-Identity"), REQUESTS, hide_copy_preferred },
	},
};

/* What frames a message, names its dialog or says what its sender can do. */
static const struct span ours[] = {
	NAME("Via"), NAME("From"), NAME("To"), NAME("Call-ID"), NAME("CSeq"), NAME("Contact"), NAME("Route"), NAME("Record-Route"),
	NAME("Path"), NAME("Service-Route"), NAME("Max-Forwards"), NAME("Content-Length"), NAME("Content-Type"),
	NAME("Content-Encoding"), NAME("MIME-Version"), NAME("Require"), NAME("Proxy-Require"), NAME("Supported"), NAME("Unsupported"),
	NAME("Allow"), NAME("Session-Expires"), NAME("Min-SE"), NAME("RAck"), NAME("RSeq"), NAME("Replaces"), NAME("Join"),
	NAME("Target-Dialog"), NAME("Refer-To"), NAME("Event"), NAME("Subscription-State"),
};
/* clang-format on */

const struct hide_row *hide_row_find(struct span name)
{
	name = message_header_name(name);
	if (name.n > NAME_LENGTH_MAX)
		return NULL;
	for (const struct hide_row *row = rows[name.n]; row < rows[name.n] + NAMES_PER_LENGTH && row->copy;
		row++)
		if ((row->name.p[0] | 0x20) == (name.p[0] | 0x20) && span_equal_case(row->name, name))
			return row;
	return NULL;
}

bool hide_is_ours(struct span name)
{
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (span_equal_case(name, ours[i]))
			return true;
	return false;
}
