/* Differences between the PostgreSQL versions that are built for (15, 17, 18; 16 by the way).
 * The only file that knows PG_VERSION_NUM.  Included by prelude.h, after PostgreSQL's own headers. */
#pragma once

#if PG_VERSION_NUM < 150000
#error "mentalspace needs PostgreSQL 15 or newer"
#endif

extern "C" {
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
}

/* What an action of the JSON parser returns: since 16 it can stop the parser. */
#if PG_VERSION_NUM >= 160000
typedef JsonParseErrorType ms_json_action_result;
#define MS_JSON_ACTION_RETURN(failed) return (failed) ? JSON_SEM_ACTION_FAILED : JSON_SUCCESS
#else
typedef void ms_json_action_result;
#define MS_JSON_ACTION_RETURN(failed) return
#endif

/* A lexer of UTF-8 text that resolves escapes.  The text need not end with NUL and must stay. */
static inline JsonLexContext *
ms_json_lexer_create(const char *text, int length)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(nullptr, text, length, PG_UTF8, true);
#else
	return makeJsonLexContextCstringLen(const_cast<char *>(text), length, PG_UTF8, true);
#endif
}

static inline void
ms_json_lexer_free(JsonLexContext *lexer)
{
#if PG_VERSION_NUM >= 170000
	freeJsonLexContext(lexer);
#else
	pfree(lexer->strval->data);
	pfree(lexer->strval);
	pfree(lexer);
#endif
}

#ifndef FRONTEND

extern "C" {
#include "catalog/pg_extension.h"
#include "utils/acl.h"
#include "nodes/nodeFuncs.h"
#include "utils/guc_tables.h"
}

/* Number of configuration variables, or -1 where this version cannot tell cheaply: a cheap way to see that no new
 * placeholder can have appeared since the last look. */
static inline int
ms_guc_count(void)
{
#if PG_VERSION_NUM < 160000
	return GetNumConfigOptions();
#else
	return -1;
#endif
}

/* Whether the role owns the extension. */
static inline bool
ms_owns_extension(Oid extension, Oid role)
{
#if PG_VERSION_NUM < 160000
	return pg_extension_ownercheck(extension, role);
#else
	return object_ownercheck(ExtensionRelationId, extension, role);
#endif
}

/* Memory for what a GUC's check hook hands on: guc.c frees it.  NULL when there is none. */
static inline void *
ms_guc_alloc(size_t size)
{
#if PG_VERSION_NUM < 160000
	return malloc(size);
#else
	return guc_malloc(LOG, size);
#endif
}

static inline void
ms_guc_release(void *memory)
{
#if PG_VERSION_NUM < 160000
	free(memory);
#else
	guc_free(memory);
#endif
}

extern "C" {
#include "executor/execdesc.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/portal.h"
}

/* Whether `member` may SET ROLE to `role`; a superuser may always. */
static inline bool
ms_can_become_role(Oid member, Oid role)
{
#if PG_VERSION_NUM < 160000
	return is_member_of_role(member, role);
#else
	return member_can_set_role(member, role);
#endif
}

/* Runs a portal to its end.  `alone`: the command is a statement by itself, so that VACUUM and the like are allowed. */
static inline bool
ms_portal_run(Portal portal, bool alone, DestReceiver *dest, QueryCompletion *completion)
{
#if PG_VERSION_NUM < 180000
	return PortalRun(portal, FETCH_ALL, alone, true, dest, dest, completion);
#else
	return PortalRun(portal, FETCH_ALL, alone, dest, dest, completion);
#endif
}

/* raw_expression_tree_walker() with one type of callback on all versions. */
static inline bool
ms_raw_expression_tree_walker(Node *node, bool (*walker)(Node *, void *), void *context)
{
#if PG_VERSION_NUM < 160000
	return raw_expression_tree_walker(node, reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker)), context);
#else
	return raw_expression_tree_walker(node, walker, context);
#endif
}

/* A configuration variable's record, NULL where there is none of that name. */
static inline struct config_generic *
ms_find_guc(const char *name)
{
#if PG_VERSION_NUM < 160000
	struct config_generic **all = get_guc_variables();
	int count = GetNumConfigOptions();

	for (int i = 0; i < count; i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return nullptr;
#else
	return find_option(name, false, true, ERROR);
#endif
}

/* The arguments of an ExecutorRun hook, declared and passed on. */
#if PG_VERSION_NUM < 180000
#define MS_EXECUTOR_RUN_PARAMS QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define MS_EXECUTOR_RUN_ARGS query, direction, count, execute_once
#else
#define MS_EXECUTOR_RUN_PARAMS QueryDesc *query, ScanDirection direction, uint64 count
#define MS_EXECUTOR_RUN_ARGS query, direction, count
#endif

#endif
