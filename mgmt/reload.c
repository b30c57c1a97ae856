/* SPDX-License-Identifier: BSD-3-Clause */
/* reload tls: the control plane reads the files of the tls-profiles again. */
#include "mgmt/reload.h"

#include <string.h>

#include "controlplane/api.h"
#include "mgmt/render.h"
#include "mgmt/value.h"

static void replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	struct cp_tls_reloaded done;
	json_t *document;

	(void)tag;
	(void)length;
	if (status) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, status);
		return;
	}
	memcpy(&done, body, sizeof(done));
	if (request->json) {
		document = json_object();
		value_set(document, "changed", value_uint(done.changed));
		value_set(document, "refused", value_uint(done.refused));
		value_set(document, "unchanged", value_uint(done.same));
		render_json(&request->output, document);
		json_decref(document);
	} else {
		output_format(&request->output, "tls-profiles: %u changed, %u unchanged, %u refused%s\n",
			done.changed, done.same, done.refused,
			done.refused ? " (their old certificates stay: \"show alarms\" tells why)" : "");
	}
	request_finish(request, done.refused ? MGMT_EXIT_FAILED : MGMT_EXIT_OK);
}

void reload_tls(struct request *request)
{
	int err = request_fetch(request, NEIGHBOUR_CONTROLPLANE, CP_TLS_RELOAD, NULL, 0, 0, replied);

	if (err)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}
