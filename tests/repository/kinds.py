"""A value of every kind, with the canonical bytes it must have for ever, on every server."""

from __future__ import annotations

from dataclasses import dataclass

PREPARE = (
    "CREATE TYPE mood AS ENUM ('sad', 'glüklich')",
    "CREATE DOMAIN positive AS numeric CHECK (VALUE > 0)",
    "CREATE DOMAIN moods AS mood[]",
    "CREATE TYPE place AS (street text, number integer, seen timestamptz, tags text[])",
    "CREATE TYPE pair AS (first place, second float8)",
    "CREATE TYPE spans AS RANGE (subtype = text)",
)


@dataclass(frozen=True)
class Kind:
    """A value of one type: as SQL, and what it is encoded as (tag and bytes)."""

    type: str
    value: str
    tag: str
    data: str
    since: int = 13


KINDS: tuple[Kind, ...] = (
    Kind("boolean", "true", "bool", "01"),
    Kind("smallint", "-2", "int2", "fffe"),
    Kind("integer", "258", "int4", "00000102"),
    Kind("bigint", "-1", "int8", "ffffffffffffffff"),
    Kind("oid", "4294967295", "oid", "ffffffff"),
    Kind("real", "1.5", "float4", "3fc00000"),
    Kind("real", "'NaN'", "float4", "7fc00000"),
    Kind("double precision", "0.1", "float8", "3fb999999999999a"),
    Kind("double precision", "'-0'", "float8", "8000000000000000"),
    Kind(
        "double precision", "'Infinity'::float8 - 'Infinity'::float8", "float8", "7ff8000000000000"
    ),
    Kind("double precision", "'-Infinity'", "float8", "fff0000000000000"),
    Kind("numeric", "1.0", "numeric", "00010000000000010001"),
    Kind("numeric", "1.00", "numeric", "00010000000000020001"),
    Kind("numeric", "-123456.7890", "numeric", "0003000140000004000c0d801ed2"),
    Kind("numeric", "0", "numeric", "0000000000000000"),
    Kind("numeric", "'NaN'", "numeric", "00000000c0000000"),
    Kind("numeric(12,2)", "7", "numeric", "00010000000000020007"),
    Kind("numeric", "'Infinity'", "numeric", "00000000d0000020", 14),
    Kind("money", "'12.34'::numeric::money", "money", "00000000000004d2"),
    Kind("text", "'héé ☃ 😀'", "text", "68c3a9c3a920e2988320f09f9880"),
    Kind("text", "''", "text", ""),
    Kind("varchar(9)", "'a  '", "text", "612020"),
    Kind("char(6)", "'ab'", "char", "6162"),
    Kind('"char"', "'q'", "char", "71"),
    Kind("name", "'users'", "text", "7573657273"),
    Kind("bytea", r"'\x00ff5c'", "bytea", "00ff5c"),
    Kind(
        "uuid", "'01234567-89ab-4def-8123-456789abcdef'", "uuid", "0123456789ab4def8123456789abcdef"
    ),
    Kind("date", "'2024-02-29'", "date", "00002279"),
    Kind("date", "'infinity'", "date", "7fffffff"),
    Kind("date", "'4713-01-01 BC'", "date", "ffda97cd"),
    Kind("time", "'12:34:56.789'", "time", "0000000a8be62608"),
    Kind("timetz", "'12:34:56+02'", "timetz", "0000000a8bda1c00ffffe3e0"),
    Kind("timestamp", "'1999-12-31 23:59:59.999999'", "timestamp", "ffffffffffffffff"),
    Kind("timestamptz", "'2000-01-01 01:00:00.000001+01'", "timestamptz", "0000000000000001"),
    Kind("interval", "'1 year 2 days 03:04:05.6'", "interval", "00000002925e7b00000000020000000c"),
    Kind("inet", "'192.168.0.1/24'", "inet", "02180004c0a80001"),
    Kind("inet", "'::1'", "inet", "0380001000000000000000000000000000000001"),
    Kind("cidr", "'10.0.0.0/8'", "cidr", "020801040a000000"),
    Kind("macaddr", "'08:00:2b:01:02:03'", "macaddr", "08002b010203"),
    Kind("macaddr8", "'08:00:2b:01:02:03:04:05'", "macaddr8", "08002b0102030405"),
    Kind("bit(3)", "B'101'", "bit", "00000003a0"),
    Kind("bit varying", "B''", "varbit", "00000000"),
    Kind("point", "'(1,2)'", "point", "3ff00000000000004000000000000000"),
    Kind(
        "box",
        "'(1,2),(3,4)'",
        "box",
        "400800000000000040100000000000003ff00000000000004000000000000000",
    ),
    Kind(
        "path",
        "'[(0,0),(1,1)]'",
        "path",
        "0000000002000000000000000000000000000000003ff00000000000003ff0000000000000",
    ),
    Kind(
        "polygon",
        "'((0,0),(1,1))'",
        "polygon",
        "00000002000000000000000000000000000000003ff00000000000003ff0000000000000",
    ),
    Kind("circle", "'<(0,0),1>'", "circle", "000000000000000000000000000000003ff0000000000000"),
    Kind(
        "lseg",
        "'[(0,0),(1,1)]'",
        "lseg",
        "000000000000000000000000000000003ff00000000000003ff0000000000000",
    ),
    Kind("line", "'{1,2,3}'", "line", "3ff000000000000040000000000000004008000000000000"),
    Kind("pg_lsn", "'16/B374D848'", "pg_lsn", "00000016b374d848"),
    Kind("tsvector", "'fat:2A cat:1'::tsvector", "tsvector", "27636174273a312027666174273a3241"),
    Kind("tsquery", "'fat & !cat'::tsquery", "tsquery", "2766617427202620212763617427"),
    Kind("json", """'{"b": 1,  "a": 1.50}'""", "json", "7b2262223a20312c20202261223a20312e35307d"),
    Kind(
        "jsonb",
        """'{"b": 1,  "a": 1.50, "é": [null, true]}'""",
        "jsonb",
        "7b2261223a20312e35302c202262223a20312c2022c3a9223a205b6e756c6c2c20747275655d7d",
    ),
    Kind("jsonpath", "'$.a[*] ? (@ > 1)'", "jsonpath", "242e2261225b2a5d3f2840203e203129"),
    Kind("int4range", "'[1,5)'", "range(int4)", "0002010000000400000001010000000400000005"),
    Kind("int4range", "'empty'", "range(int4)", "00010000"),
    Kind(
        "tstzrange",
        "'(,2000-01-01 00:00+00]'",
        "range(timestamptz)",
        "000c0001000000080000000000000000",
    ),
    Kind("spans", "'[a,b]'", "range(text)", "0006010000000161010000000162"),
    Kind(
        "int4multirange",
        "'{[1,3),[7,9)}'",
        "multirange(int4)",
        "000000000100000014000201000000040000000101000000040000000301000000140002010000000400000007010000000400000009",
        14,
    ),
    Kind("integer[]", "'{}'", "int4[]", "00000000"),
    Kind("integer[]", "'[0:1]={1,NULL}'", "int4[]", "000000055b303a315d01000000040000000100"),
    Kind(
        "text[]",
        "'{{a,b},{c,d}}'",
        "text[]",
        "0000000a5b313a325d5b313a325d010000000161010000000162010000000163010000000164",
    ),
    Kind(
        "timestamptz[]",
        "ARRAY['2000-01-01 00:00+00'::timestamptz]",
        "timestamptz[]",
        "000000055b313a315d01000000080000000000000000",
    ),
    Kind("mood", "'glüklich'", "enum", "676cc3bc6b6c696368"),
    Kind("mood[]", "'{sad}'", "enum[]", "000000055b313a315d0100000003736164"),
    Kind("positive", "1.50", "numeric", "000200000000000200011388"),
    Kind("moods", "'{sad,NULL}'", "enum[]", "000000055b313a325d010000000373616400"),
    Kind(
        "place",
        "ROW('Rue', NULL, '2000-01-01 00:00+00', '{a}')::place",
        "record",
        "00000006737472656574000000047465787400000003527565000000047365656e0000000b74696d657374616d70747a000000080000000000000000000000047461677300000006746578745b5d0000000f000000055b313a315d010000000161",
    ),
    Kind("place", "ROW(NULL, NULL, NULL, NULL)::place", "record", ""),
    Kind(
        "pair",
        "ROW(ROW('Rue', 1, NULL, NULL)::place, 2)::pair",
        "record",
        "000000056669727374000000067265636f72640000003300000006737472656574000000047465787400000003527565000000066e756d62657200000004696e74340000000400000001000000067365636f6e6400000006666c6f617438000000084000000000000000",
    ),
    Kind(
        "place[]",
        "ARRAY[ROW('Rue', 1, NULL, NULL)::place, NULL]",
        "record[]",
        "000000055b313a325d010000003300000006737472656574000000047465787400000003527565000000066e756d62657200000004696e7434000000040000000100",
    ),
)
