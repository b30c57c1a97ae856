/* SPDX-License-Identifier: BSD-3-Clause */
/* A scanner of small XML documents as spans: elements, attributes, text. No entity is expanded, nothing is fetched, a document type is
 * refused; memory and time are linear in the text. Whether tags are balanced is the caller's to see. */
#ifndef CONTROLPLANE_EVENT_XML_H
#define CONTROLPLANE_EVENT_XML_H

#include <stdbool.h>

#include "platforms/base/span.h"

enum event_xml_kind { EVENT_XML_END, EVENT_XML_OPEN, EVENT_XML_CLOSE, EVENT_XML_TEXT, EVENT_XML_BAD };

struct event_xml_node {
	enum event_xml_kind kind;
	struct span name; /* OPEN, CLOSE: without its prefix */
	struct span attributes; /* OPEN: for event_xml_attribute */
	bool empty; /* OPEN: <a/>, no CLOSE follows */
	struct span text; /* TEXT: trimmed, never empty, references as they are written */
};

/* The next node behind *rest. Comments and processing instructions are passed over. */
enum event_xml_kind event_xml_next(struct span *rest, struct event_xml_node *node);
/* The next of a node's attributes; false at the end. They have been checked by event_xml_next. */
bool event_xml_attribute(struct span *attributes, struct span *name, struct span *value);

#endif
