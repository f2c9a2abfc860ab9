/* What a transaction may leave in a session with the lock: nothing.  See session.cpp. */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
}

/* Raises 42501 where a utility command would leave something that cannot be cleaned, or writes while nobody is logged in.
 * Called before each command. */
void ms_session_check_utility(const Node *statement);

/* Called after each command: remembers what the end of the transaction has to clean. */
void ms_session_after_utility(const Node *statement);

/* Raises 42501 where a query writes in a session that has to log in first.  Called before each run. */
void ms_session_check_query(const PlannedStmt *planned);

/* login() is about to put an identity in force: removes what is there from before, and binds the transaction. */
void ms_session_enter(void);

/* After ms_verified_init(): at the transaction's end its callback then runs while somebody is still logged in. */
void ms_session_init(void);
