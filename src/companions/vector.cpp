/* Companion vector: the type of pgvector, in its form on disk and on the wire, with exact search.
 *
 * Distances are computed over all rows, which finds what an exact search finds and takes its time.  The access methods hnsw
 * and ivfflat exist so that CREATE INDEX does not fail: such an index is empty and no plan uses it, and a notice says so. */
#include "pg/prelude.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>

extern "C" {
#include "access/amapi.h"
#include "access/genam.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "libpq/pqformat.h"
#include "nodes/execnodes.h"
#include "utils/array.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace {

constexpr int kMaxDimensions = 16000;

struct Vector {
	int32 vl_len_;   /* varlena header */
	int16 dimensions;
	int16 unused;    /* always zero */
	float x[FLEXIBLE_ARRAY_MEMBER];
};

Vector *
make_vector(int dimensions)
{
	size_t size = offsetof(Vector, x) + sizeof(float) * (size_t) dimensions;
	Vector *vector = (Vector *) palloc0(size);

	SET_VARSIZE(vector, size);
	vector->dimensions = (int16) dimensions;
	return vector;
}

Vector *
vector_argument(FunctionCallInfo fcinfo, int number)
{
	return (Vector *) PG_DETOAST_DATUM(PG_GETARG_DATUM(number));
}

void
check_dimensions(int dimensions)
{
	if (dimensions < 1)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("vector must have at least 1 dimension")));
	if (dimensions > kMaxDimensions)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("vector cannot have more than %d dimensions", kMaxDimensions)));
}

void
check_typmod(int32 typmod, int dimensions)
{
	if (typmod != -1 && typmod != dimensions)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("expected %d dimensions, not %d", typmod, dimensions)));
}

void
check_same_dimensions(const Vector *a, const Vector *b)
{
	if (a->dimensions != b->dimensions)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("different vector dimensions %d and %d", a->dimensions, b->dimensions)));
}

float
checked_element(float value)
{
	if (std::isnan(value) || std::isinf(value))
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("elements of a vector must be finite numbers")));
	return value;
}

/* The input is not printed: it may be long, and it was made of somebody's text. */
[[noreturn]] void
bad_syntax(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("invalid input syntax for type %s", "vector"),
					errdetail("A vector is written as [1,2,3].")));
	pg_unreachable();
}

const char *
skip_blanks(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r' || *p == '\v' || *p == '\f')
		p++;
	return p;
}

/* Sums of products in double precision, whatever the order of the rows. */
struct Sums {
	double product, squares_a, squares_b, squared_difference, difference;
};

Sums
sums_of(FunctionCallInfo fcinfo)
{
	Vector *a = vector_argument(fcinfo, 0), *b = vector_argument(fcinfo, 1);
	Sums sums = {0, 0, 0, 0, 0};

	check_same_dimensions(a, b);
	for (int i = 0; i < a->dimensions; i++) {
		double x = a->x[i], y = b->x[i];

		sums.product += x * y;
		sums.squares_a += x * x;
		sums.squares_b += y * y;
		sums.squared_difference += (x - y) * (x - y);
		sums.difference += std::fabs(x - y);
	}
	return sums;
}

/* Element by element, as btree orders arrays. */
int
compare(FunctionCallInfo fcinfo)
{
	Vector *a = vector_argument(fcinfo, 0), *b = vector_argument(fcinfo, 1);
	int common = a->dimensions < b->dimensions ? a->dimensions : b->dimensions;

	for (int i = 0; i < common; i++)
		if (a->x[i] != b->x[i])
			return a->x[i] < b->x[i] ? -1 : 1;
	return a->dimensions == b->dimensions ? 0 : a->dimensions < b->dimensions ? -1 : 1;
}

enum class Operation { kAdd, kSubtract, kMultiply };

Datum
elementwise(FunctionCallInfo fcinfo, Operation operation)
{
	Vector *a = vector_argument(fcinfo, 0), *b = vector_argument(fcinfo, 1);

	check_same_dimensions(a, b);
	Vector *result = make_vector(a->dimensions);
	for (int i = 0; i < a->dimensions; i++) {
		float x = a->x[i], y = b->x[i];
		float value = operation == Operation::kAdd ? x + y : operation == Operation::kSubtract ? x - y : x * y;

		if (std::isinf(value))
			float_overflow_error();
		result->x[i] = value;
	}
	PG_RETURN_POINTER(result);
}

double
norm(const Vector *vector)
{
	double squares = 0;

	for (int i = 0; i < vector->dimensions; i++)
		squares += (double) vector->x[i] * vector->x[i];
	return std::sqrt(squares);
}

}  // namespace

/* ---- input and output */

MS_FUNCTION(ms_vector_in)
{
	const char *input = PG_GETARG_CSTRING(0);
	int32 typmod = PG_GETARG_INT32(2);
	float *x = (float *) palloc(sizeof(float) * kMaxDimensions);
	int dimensions = 0;

	const char *p = skip_blanks(input);
	if (*p != '[')
		bad_syntax();
	p = skip_blanks(p + 1);
	if (*p == ']')
		check_dimensions(0);
	for (;;) {
		if (dimensions == kMaxDimensions)
			check_dimensions(dimensions + 1);
		char *end;
		errno = 0;
		float value = strtof(p, &end);
		if (end == p)
			bad_syntax();
		if (errno == ERANGE && std::isinf(value))
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("an element is out of range for type %s", "vector")));
		x[dimensions++] = checked_element(value);
		p = skip_blanks(end);
		if (*p == ']')
			break;
		if (*p != ',')
			bad_syntax();
		p = skip_blanks(p + 1);
	}
	if (*skip_blanks(p + 1) != '\0')
		bad_syntax();
	check_typmod(typmod, dimensions);

	Vector *result = make_vector(dimensions);
	memcpy(result->x, x, sizeof(float) * (size_t) dimensions);
	pfree(x);
	PG_RETURN_POINTER(result);
}

MS_FUNCTION(ms_vector_out)
{
	Vector *vector = vector_argument(fcinfo, 0);
	char *text = (char *) palloc((size_t) FLOAT_SHORTEST_DECIMAL_LEN * (size_t) vector->dimensions + 3);
	char *p = text;

	*p++ = '[';
	for (int i = 0; i < vector->dimensions; i++) {
		if (i > 0)
			*p++ = ',';
		p += float_to_shortest_decimal_bufn(vector->x[i], p);
	}
	*p++ = ']';
	*p = '\0';
	PG_RETURN_CSTRING(text);
}

MS_FUNCTION(ms_vector_recv)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	int32 typmod = PG_GETARG_INT32(2);
	int dimensions = (int16) pq_getmsgint(message, sizeof(int16));
	int unused = (int16) pq_getmsgint(message, sizeof(int16));

	check_dimensions(dimensions);
	check_typmod(typmod, dimensions);
	if (unused != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION), errmsg("malformed binary vector")));
	Vector *result = make_vector(dimensions);
	for (int i = 0; i < dimensions; i++)
		result->x[i] = checked_element(pq_getmsgfloat4(message));
	PG_RETURN_POINTER(result);
}

MS_FUNCTION(ms_vector_send)
{
	Vector *vector = vector_argument(fcinfo, 0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendint16(&message, (uint16) vector->dimensions);
	pq_sendint16(&message, 0);
	for (int i = 0; i < vector->dimensions; i++)
		pq_sendfloat4(&message, vector->x[i]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* vector(N): 1 to 16000. */
MS_FUNCTION(ms_vector_typmod_in)
{
	int count;
	int32 *modifiers = ArrayGetIntegerTypmods(PG_GETARG_ARRAYTYPE_P(0), &count);

	if (count != 1 || modifiers[0] < 1 || modifiers[0] > kMaxDimensions)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("type vector takes one number of dimensions from 1 to %d", kMaxDimensions)));
	PG_RETURN_INT32(modifiers[0]);
}

/* ---- casts */

/* vector(vector, integer, boolean): the cast to a number of dimensions. */
MS_FUNCTION(ms_vector_cast)
{
	Vector *vector = vector_argument(fcinfo, 0);

	check_typmod(PG_GETARG_INT32(1), vector->dimensions);
	PG_RETURN_POINTER(vector);
}

/* array_to_vector(real[] | double precision[] | integer[] | numeric[], integer, boolean). */
MS_FUNCTION(ms_vector_of_array)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
	Oid type = ARR_ELEMTYPE(array);
	int16 length;
	bool by_value;
	char alignment;
	Datum *elements;
	bool *nulls;
	int count;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("array must be 1-D")));
	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	deconstruct_array(array, type, length, by_value, alignment, &elements, &nulls, &count);
	check_dimensions(count);
	check_typmod(PG_GETARG_INT32(1), count);

	Vector *result = make_vector(count);
	for (int i = 0; i < count; i++) {
		float value;

		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("array must not contain nulls")));
		switch (type) {
			case FLOAT4OID: value = DatumGetFloat4(elements[i]); break;
			case FLOAT8OID: value = (float) DatumGetFloat8(elements[i]); break;
			case INT4OID: value = (float) DatumGetInt32(elements[i]); break;
			case NUMERICOID: value = DatumGetFloat4(DirectFunctionCall1(numeric_float4, elements[i])); break;
			default:
				ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("unsupported array type")));
		}
		result->x[i] = checked_element(value);
	}
	PG_RETURN_POINTER(result);
}

/* vector_to_float4(vector, integer, boolean) returns real[]. */
MS_FUNCTION(ms_vector_to_array)
{
	Vector *vector = vector_argument(fcinfo, 0);
	Datum *elements = (Datum *) palloc(sizeof(Datum) * (size_t) vector->dimensions);

	for (int i = 0; i < vector->dimensions; i++)
		elements[i] = Float4GetDatum(vector->x[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, vector->dimensions, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT));
}

/* ---- distances and the rest of the arithmetic */

MS_FUNCTION(ms_vector_l2_distance) { PG_RETURN_FLOAT8(std::sqrt(sums_of(fcinfo).squared_difference)); }
MS_FUNCTION(ms_vector_l1_distance) { PG_RETURN_FLOAT8(sums_of(fcinfo).difference); }
MS_FUNCTION(ms_vector_inner_product) { PG_RETURN_FLOAT8(sums_of(fcinfo).product); }
MS_FUNCTION(ms_vector_negative_inner_product) { PG_RETURN_FLOAT8(-sums_of(fcinfo).product); }

/* 1 minus the cosine of the angle; NaN for a vector of zeros. */
MS_FUNCTION(ms_vector_cosine_distance)
{
	Sums sums = sums_of(fcinfo);
	double cosine = sums.product / std::sqrt(sums.squares_a * sums.squares_b);

	PG_RETURN_FLOAT8(1 - (cosine > 1 ? 1 : cosine < -1 ? -1 : cosine));
}

MS_FUNCTION(ms_vector_dims) { PG_RETURN_INT32(vector_argument(fcinfo, 0)->dimensions); }
MS_FUNCTION(ms_vector_norm) { PG_RETURN_FLOAT8(norm(vector_argument(fcinfo, 0))); }

/* The vector of length 1 in the same direction; zeros stay zeros. */
MS_FUNCTION(ms_vector_normalize)
{
	Vector *vector = vector_argument(fcinfo, 0);
	Vector *result = make_vector(vector->dimensions);
	double length = norm(vector);

	for (int i = 0; length > 0 && i < vector->dimensions; i++)
		result->x[i] = (float) (vector->x[i] / length);
	PG_RETURN_POINTER(result);
}

MS_FUNCTION(ms_vector_add) { return elementwise(fcinfo, Operation::kAdd); }
MS_FUNCTION(ms_vector_subtract) { return elementwise(fcinfo, Operation::kSubtract); }
MS_FUNCTION(ms_vector_multiply) { return elementwise(fcinfo, Operation::kMultiply); }

MS_FUNCTION(ms_vector_cmp) { PG_RETURN_INT32(compare(fcinfo)); }
MS_FUNCTION(ms_vector_lt) { PG_RETURN_BOOL(compare(fcinfo) < 0); }
MS_FUNCTION(ms_vector_le) { PG_RETURN_BOOL(compare(fcinfo) <= 0); }
MS_FUNCTION(ms_vector_eq) { PG_RETURN_BOOL(compare(fcinfo) == 0); }
MS_FUNCTION(ms_vector_ne) { PG_RETURN_BOOL(compare(fcinfo) != 0); }
MS_FUNCTION(ms_vector_ge) { PG_RETURN_BOOL(compare(fcinfo) >= 0); }
MS_FUNCTION(ms_vector_gt) { PG_RETURN_BOOL(compare(fcinfo) > 0); }
