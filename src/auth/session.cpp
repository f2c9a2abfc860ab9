/* In a session with the lock, nothing that a transaction did is visible or effective in the next one, except through rows.
 *
 * A pool hands the connection to another user after each transaction, and PostgreSQL keeps a good deal for the session.
 * What cannot be cleaned, or what nobody needs, is refused with 42501; the rest is cleaned at the transaction's end:
 *
 *   refused   objects in pg_temp (unless mentalspace.auth_temporary_objects), DEALLOCATE of what a driver prepared,
 *             cursors WITH HOLD, LISTEN, LOAD, ALTER ROLE and ALTER DATABASE, DROP and REASSIGN OWNED,
 *             DO in languages that keep variables for the session, large objects, the list of prepared statements
 *   cleaned   SET, objects in pg_temp where they are allowed, PREPARE, session advisory locks, currval() and lastval(),
 *             the seed of random()
 *
 * Where the lock is `always`, that holds for every transaction, logged in or not; else for those in which somebody is or
 * was logged in.  Under `always`, PREPARE TRANSACTION is refused too, and a transaction in which nobody is logged in writes
 * nothing. */
#include "pg/prelude.h"

#include "auth/lock.h"
#include "auth/session.h"
#include "auth/settings.h"
#include "auth/verified.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_largeobject.h"
#include "commands/prepare.h"
#include "commands/sequence.h"
#include "storage/lock.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace {

/* A statement of SQL's PREPARE, to be dropped at the transaction's end. */
struct Prepared {
	Prepared *next;
	char name[NAMEDATALEN];
};

/* pg_logical_emit_message(), whose macros have other names from 17 on. */
constexpr Oid kLogicalEmitMessageText = 3577, kLogicalEmitMessageBytea = 3578;

object_access_hook_type next_object_access;
struct config_generic *role_setting, *lock_setting;
Prepared *prepared;
bool bound;            /* somebody is or was logged in, in this transaction, under the lock */
bool temp_made = true; /* pg_temp may hold objects; the library may have been loaded after they were made */
bool seed_set;

/* Whether the rules of this file hold now.  Not in background workers: no client's SQL runs there. */
inline bool
is_bound(void)
{
	return MyProcPort != nullptr && (ms_lock_holds() || bound);
}

/* Under `always`, whoever has not logged in only looks; superusers, whom the lock binds too, go on administering. */
inline bool
must_log_in(void)
{
	return MyProcPort != nullptr && AuthLockInForce() == kLockAlways && ms_verified_serial() == 0 &&
		!superuser_arg(GetSessionUserId());
}

[[noreturn]] void
refuse(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("%s is not allowed while role and claims are locked", what),
			 errdetail("It would outlive the transaction, and the next one on this connection may be another user's.")));
	pg_unreachable();
}

[[noreturn]] void
refuse_without_login(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("nobody is logged in"),
			 errdetail("While mentalspace.auth_lock is \"always\", a transaction without a login changes nothing."),
			 errhint("Call mentalspace.login() first, in the same transaction.")));
	pg_unreachable();
}

Prepared **
find_prepared(const char *name)
{
	for (Prepared **link = &prepared; *link; link = &(*link)->next)
		if (strcmp((*link)->name, name) == 0)
			return link;
	return nullptr;
}

/* Whether a new object, whose row only this command sees yet, is in pg_temp. */
bool
is_temporary(Oid class_id, Oid object)
{
	if (!is_objectclass_supported(class_id))
		return false;
	AttrNumber schema_column = get_object_attnum_namespace(class_id);
	if (schema_column == InvalidAttrNumber)
		return false;

	Relation catalog = table_open(class_id, AccessShareLock);
	ScanKeyData key;
	bool found = false;

	ScanKeyInit(&key, get_object_attnum_oid(class_id), BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
	SysScanDesc scan = systable_beginscan(catalog, get_object_oid_index(class_id), true, SnapshotSelf, 1, &key);
	HeapTuple tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple)) {
		bool null;
		Oid schema = DatumGetObjectId(fastgetattr(tuple, schema_column, RelationGetDescr(catalog), &null));

		found = !null && isTempOrTempToastNamespace(schema);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

void
object_created(Oid class_id, Oid object)
{
	Oid temp, temp_toast;

	if (must_log_in())
		refuse_without_login();
	/* Its owner would be the role that all users share, and no policy knows large objects. */
	if (class_id == LargeObjectRelationId && !InLocalUserIdChange() && is_bound())
		refuse("making a large object");
	GetTempNamespaceState(&temp, &temp_toast);
	if (!OidIsValid(temp))
		return;
	temp_made = true;
	if (ms_lock_holds() && MyProcPort && !auth_temporary_objects && is_temporary(class_id, object))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("temporary objects cannot be made while role and claims are locked"),
				 errdetail("They could stand in for the tables, functions and types that other code means."),
				 errhint("Where the application needs them, set mentalspace.auth_temporary_objects for its login role.")));
}

bool
is_roles_of(Oid function)
{
	char *name = get_func_name(function);

	return name && strcmp(name, "roles_of") == 0 &&
		get_func_namespace(function) == get_namespace_oid("mentalspace", true);
}

/* Before a function is called: by a query, or directly by the protocol. */
void
function_called(Oid function)
{
	switch (function) {
		case F_SETSEED:
		case F_SET_CONFIG:
			seed_set = true;
			return;
		case F_PG_PREPARED_STATEMENT:
			refuse("reading the list of prepared statements");
		/* The login role sees and ends what runs on the pool's other connections. */
		case F_PG_STAT_GET_ACTIVITY:
		case F_PG_STAT_GET_BACKEND_ACTIVITY:
		case F_PG_TERMINATE_BACKEND:
		case F_PG_CANCEL_BACKEND:
		case F_PG_NOTIFY:
		case kLogicalEmitMessageText:
		case kLogicalEmitMessageBytea:
			if (must_log_in())
				refuse_without_login();
			return;
		default:
			if (function >= FirstNormalObjectId && !InLocalUserIdChange() && must_log_in() && is_roles_of(function))
				refuse_without_login();
	}
}

void
object_access(ObjectAccessType access, Oid class_id, Oid object, int column, void *arg)
{
	if (next_object_access)
		next_object_access(access, class_id, object, column, arg);
	if (access == OAT_FUNCTION_EXECUTE) {
		/* A call by the protocol may be the first thing that the session does. */
		ms_lock_begin();
		if (is_bound())
			function_called(object);
	} else if (access == OAT_POST_CREATE)
		object_created(class_id, object);
}

/* What SET has set ends with the transaction, as if it were SET LOCAL.  The role of a session's login is login()'s own, and
 * only a superuser sets the lock. */
void
undo_settings(void)
{
	ms_each_guc([](struct config_generic *variable) {
		if (likely(variable->stack == nullptr) || variable == role_setting || variable == lock_setting)
			return;
		for (GucStack *entry = variable->stack; entry; entry = entry->prev)
			if (entry->state == GUC_SET || entry->state == GUC_SET_LOCAL)
				entry->state = GUC_LOCAL;
	});
}

void
drop_temporary_objects(void)
{
	Oid temp, temp_toast;

	GetTempNamespaceState(&temp, &temp_toast);
	if (OidIsValid(temp) && temp_made)
		ResetTempTableNamespace();
	temp_made = false;
}

/* What no transaction rolls back.  Nothing here raises. */
void
clean(void)
{
	while (prepared) {
		Prepared *first = prepared;
		PreparedStatement *statement = FetchPreparedStatement(first->name, false);

		prepared = first->next;
		if (statement && statement->from_sql)
			DropPreparedStatement(first->name, false);
		pfree(first);
	}
	LockReleaseSession(USER_LOCKMETHOD);
	ResetSequenceCaches();
	if (seed_set) {
		uint64 bits = 0;

		(void) pg_strong_random(&bits, sizeof(bits));
		(void) DirectFunctionCall1(setseed, Float8GetDatum((double) (bits >> 12) / (double) (UINT64CONST(1) << 51) - 1.0));
		seed_set = false;
	}
}

void
on_xact_event(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) {
		if (!is_bound())
			return;
		undo_settings();
		drop_temporary_objects();
	} else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE || event == XACT_EVENT_ABORT) {
		if (is_bound())
			clean();
		bound = false;
	}
}

bool
keeps_variables(const DoStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->args) {
		DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "language") == 0)
			return strcmp(strVal(option->arg), "plpgsql") != 0;
	}
	return false;
}

/* What a command is called that would leave something which cannot be cleaned; NULL where it may run. */
const char *
name_of_lasting(const Node *statement)
{
	switch (nodeTag(statement)) {
		case T_DeallocateStmt: {
			const char *name = ((const DeallocateStmt *) statement)->name;
			return name && find_prepared(name) ? nullptr : "DEALLOCATE of a statement that this transaction did not prepare";
		}
		case T_DeclareCursorStmt:
			return ((const DeclareCursorStmt *) statement)->options & CURSOR_OPT_HOLD ? "a cursor WITH HOLD" : nullptr;
		case T_ListenStmt:
			return "LISTEN";
		case T_UnlistenStmt:
			return ms_verified_serial() != 0 ? "UNLISTEN" : nullptr;
		case T_LoadStmt:
			return "LOAD";
		case T_TransactionStmt:
			/* A client that may be trusted between its transactions may have a transaction manager, too. */
			if (AuthLockInForce() != kLockAlways)
				return nullptr;
			switch (((const TransactionStmt *) statement)->kind) {
				case TRANS_STMT_PREPARE: return "PREPARE TRANSACTION";
				case TRANS_STMT_COMMIT_PREPARED: return "COMMIT PREPARED";
				case TRANS_STMT_ROLLBACK_PREPARED: return "ROLLBACK PREPARED";
				default: return nullptr;
			}
		case T_AlterRoleStmt:
		case T_AlterRoleSetStmt:
			return "ALTER ROLE";
		case T_AlterDatabaseSetStmt:
			return "ALTER DATABASE";
		case T_AlterDefaultPrivilegesStmt:
			return "ALTER DEFAULT PRIVILEGES";
		case T_DropOwnedStmt:
			return "DROP OWNED";
		case T_ReassignOwnedStmt:
			return "REASSIGN OWNED";
		case T_DoStmt:
			return keeps_variables((const DoStmt *) statement) ? "DO in a language other than PL/pgSQL" : nullptr;
		default:
			return nullptr;
	}
}

/* SET that has no effect at all should not go unnoticed; SET LOCAL warns likewise. */
void
warn_of_setting(const VariableSetStmt *statement)
{
	if (statement->is_local || !statement->name || IsTransactionBlock() ||
		pg_strcasecmp(statement->name, "mentalspace.auth_lock") == 0)
		return;
	if (statement->kind != VAR_SET_VALUE && statement->kind != VAR_SET_CURRENT)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
			 errmsg("SET outside a transaction block ends with the statement while role and claims are locked"),
			 errhint("Use the connection's options, or ALTER ROLE ... SET as a superuser.")));
}

}  // namespace

void
ms_session_check_utility(const Node *statement)
{
	if (!is_bound())
		return;
	const char *lasting = name_of_lasting(statement);

	if (lasting)
		refuse(lasting);
	if ((IsA(statement, NotifyStmt) || (IsA(statement, CopyStmt) && ((const CopyStmt *) statement)->is_from)) && must_log_in())
		refuse_without_login();
}

void
ms_session_after_utility(const Node *statement)
{
	if (!is_bound())
		return;
	if (IsA(statement, PrepareStmt)) {
		Prepared *entry = (Prepared *) MemoryContextAlloc(TopMemoryContext, sizeof(Prepared));

		strlcpy(entry->name, ((const PrepareStmt *) statement)->name, NAMEDATALEN);
		entry->next = prepared;
		prepared = entry;
	} else if (IsA(statement, DeallocateStmt) && ((const DeallocateStmt *) statement)->name) {
		Prepared **link = find_prepared(((const DeallocateStmt *) statement)->name);

		if (link) {
			Prepared *entry = *link;
			*link = entry->next;
			pfree(entry);
		}
	} else if (IsA(statement, VariableSetStmt)) {
		const char *name = ((const VariableSetStmt *) statement)->name;

		if (name && pg_strcasecmp(name, "seed") == 0)
			seed_set = true;
		/* Unless it was the lock that was turned off. */
		if (AuthLockInForce() == kLockAlways)
			warn_of_setting((const VariableSetStmt *) statement);
	}
}

void
ms_session_check_query(const PlannedStmt *planned)
{
	if ((planned->commandType != CMD_SELECT || planned->hasModifyingCTE || planned->rowMarks) && must_log_in())
		refuse_without_login();
}

void
ms_session_enter(void)
{
	if (MyProcPort == nullptr || AuthLockInForce() == kLockOff)
		return;
	bound = true;
	drop_temporary_objects();
}

void
ms_session_init(void)
{
	role_setting = ms_find_guc("role");
	lock_setting = ms_find_guc("mentalspace.auth_lock");
	next_object_access = object_access_hook;
	object_access_hook = object_access;
	RegisterXactCallback(on_xact_event, nullptr);
}
