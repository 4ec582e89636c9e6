"""Names of SQL functions that come with a database and read no tables.

A function that reads tables would answer with the present while everything around it
answers with the past, and nothing in the statement shows which kind a function is. So only
functions known to compute from their arguments are let through. Left out on purpose, though
built in: those that run queries (``query_to_xml``, ``ts_stat``), look at the catalog or at
files, move sequences or change settings.
"""

from __future__ import annotations

from typing import Final

_COMMON: Final = """
abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char_length character_length
coalesce concat concat_ws cos cosh count cume_dist current_date current_time
current_timestamp date dense_rank degrees exists exp extract first_value floor format lag
last_value lead length ln log log10 lower ltrim max min mod nth_value ntile nullif
octet_length percent_rank pi position pow power radians random rank replace round
row_number rtrim sign sin sinh sqrt string_agg substr substring sum tan tanh trim trunc
unistr upper
"""

_POSTGRESQL: Final = """
acosd age any any_value all array array_agg array_append array_cat array_dims array_fill
array_length array_lower array_ndims array_position array_positions array_prepend
array_remove array_replace array_reverse array_sample array_shuffle array_sort
array_to_json array_to_string array_to_tsvector array_upper area ascii asind atan2d atand
bit_and bit_count bit_length bit_or bit_xor bool_and bool_or bound_box box broadcast btrim
cardinality casefold cast cbrt center char chr circle clock_timestamp convert convert_from
convert_to corr cosd cot cotd covar_pop covar_samp crc32 crc32c cube current_catalog
current_database current_role current_user date_add date_bin date_part date_subtract
date_trunc datemultirange daterange decode diagonal diameter div encode enum_first
enum_last enum_range erf erfc every factorial family float4 float8 gamma gcd
gen_random_uuid generate_series generate_subscripts get_bit get_byte greatest grouping
height host hostmask hypothetical_rank inet_merge inet_same_family initcap int2 int4 int8
int4multirange int4range int8multirange int8range interval isclosed isempty isfinite
is_normalized isopen json json_agg json_agg_strict json_array json_array_elements
json_array_elements_text json_array_length json_arrayagg json_build_array
json_build_object json_each json_each_text json_exists json_extract_path
json_extract_path_text json_object json_object_agg json_object_agg_strict
json_object_agg_unique json_object_agg_unique_strict json_object_keys json_objectagg
json_populate_record json_populate_recordset json_query json_scalar json_serialize
json_strip_nulls json_to_record json_to_recordset json_typeof json_value jsonb_agg
jsonb_agg_strict jsonb_array_elements jsonb_array_elements_text jsonb_array_length
jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path
jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg jsonb_object_agg_strict
jsonb_object_agg_unique jsonb_object_agg_unique_strict jsonb_object_keys jsonb_path_exists
jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query
jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record
jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls
jsonb_to_record jsonb_to_recordset jsonb_to_tsvector jsonb_typeof json_to_tsvector
justify_days justify_hours justify_interval lcm least left lgamma line localtime
localtimestamp lower_inc lower_inf lpad lseg macaddr8_set7bit make_date make_interval
make_time make_timestamp make_timestamptz masklen md5 min_scale mode multirange netmask
network normalize now npoints num_nonnulls num_nulls numeric numnode nummultirange
numrange overlaps overlay parse_ident path pclose percentile_cont percentile_disc
pg_column_size pg_input_is_valid pg_size_bytes pg_size_pretty pg_typeof phraseto_tsquery
plainto_tsquery point polygon popen querytree quote_ident quote_literal quote_nullable
radius random_normal range_agg range_intersect_agg range_merge regexp_count regexp_instr
regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2
regr_slope regr_sxx regr_sxy regr_syy repeat reverse right rollup row row_to_json rpad
scale session_user set_bit set_byte set_masklen setweight sha224 sha256 sha384 sha512
sind slope some split_part starts_with statement_timestamp stddev stddev_pop stddev_samp
string_to_array string_to_table strip strpos tand text time timeofday timestamp
timestamptz timezone to_ascii to_bin to_char to_date to_hex to_json to_jsonb to_number
to_oct to_timestamp to_tsquery to_tsvector transaction_timestamp translate trim_array
trim_scale ts_delete ts_filter ts_headline ts_rank ts_rank_cd tsmultirange tsquery_phrase
tsrange tstzmultirange tstzrange tsvector_to_array unnest upper_inc upper_inf user
uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 values var_pop var_samp variance
varchar version websearch_to_tsquery width width_bucket xml_is_well_formed
xml_is_well_formed_content xml_is_well_formed_document xmlagg xmlcomment xmlconcat
xmlelement xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize xmltext xpath
xpath_exists
"""

_SQLITE: Final = """
bm25 cast char datetime glob group_concat hex highlight ifnull iif instr json json_array
json_array_length json_each json_error_position json_extract json_group_array
json_group_object json_insert json_object json_patch json_pretty json_quote json_remove
json_replace json_set json_tree json_type json_valid jsonb jsonb_array jsonb_each
jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch
jsonb_remove jsonb_replace jsonb_set jsonb_tree julianday like likelihood likely log2
median now percentile percentile_cont percentile_disc printf quote randomblob snippet
soundex strftime time timediff total typeof unhex unicode unixepoch unlikely values
zeroblob
"""

POSTGRESQL: Final = frozenset((_COMMON + _POSTGRESQL).split())
"""Of PostgreSQL 14 to 18, with the parts of its grammar that are written like functions."""

SQLITE: Final = frozenset((_COMMON + _SQLITE).split())
"""Of SQLite 3.35 and later."""
