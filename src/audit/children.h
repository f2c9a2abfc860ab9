/* Partitions and children that a declared table gets after its declaration. */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "nodes/nodes.h"
}

/* After a command: if it put a table below a declared one, that gets the triggers of the declaration. */
void ms_audit_adopt_children(const Node *statement);
