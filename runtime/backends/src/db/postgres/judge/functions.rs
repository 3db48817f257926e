//! The functions that a guest's statement may call.

/// Whether a function computes from its arguments alone.
///
/// A list of what is allowed, since extensions and later versions bring functions that nobody has judged. Left out on
/// purpose: what changes the session (`set_config`), reads files or the catalog, waits (`pg_sleep`), locks, signals,
/// reads or moves sequences, talks to other servers (`dblink`), or executes text (`query_to_xml`, `ts_stat`).
pub(super) fn is_pure(name: &str) -> bool {
    PURE.binary_search(&name).is_ok()
}

/// Whether a function gives another value each time by intent.
pub(super) fn is_random(name: &str) -> bool {
    matches!(name, "random" | "gen_random_uuid")
}

/// Whether a name is a word of PostgreSQL's grammar rather than that of a function, so that no other can have it.
#[rustfmt::skip]
pub(super) fn is_grammar(name: &str) -> bool {
    [
        "coalesce", "current_date", "current_time", "current_timestamp", "extract", "greatest", "grouping", "least",
        "localtime", "localtimestamp", "nullif", "overlay", "position", "substring", "trim",
    ]
    .contains(&name)
}

/// Sorted, for the binary search.
#[rustfmt::skip]
pub(super) const PURE: &[&str] = &[
    "abs", "acos", "acosd", "acosh", "age", "any_value", "array_agg", "array_append", "array_cat", "array_dims",
    "array_length", "array_lower", "array_ndims", "array_position", "array_positions", "array_prepend",
    "array_remove", "array_replace", "array_to_json", "array_to_string", "array_upper", "ascii", "asin", "asind",
    "asinh", "atan", "atan2", "atan2d", "atand", "atanh", "avg", "bit_and", "bit_count", "bit_length", "bit_or",
    "bit_xor", "bool_and", "bool_or", "btrim", "cardinality", "cbrt", "ceil", "ceiling", "char_length",
    "character_length", "chr", "clock_timestamp", "coalesce", "concat", "concat_ws", "convert_from", "convert_to",
    "corr", "cos", "cosd", "cosh", "cot", "cotd", "count", "covar_pop", "covar_samp", "cume_dist", "current_date",
    "current_time", "current_timestamp", "date", "date_bin", "date_part", "date_trunc", "decode", "degrees",
    "dense_rank", "div", "encode", "enum_first", "enum_last", "enum_range", "every", "exp", "extract", "factorial",
    "first_value", "floor", "format", "gcd", "generate_series", "generate_subscripts", "get_bit", "get_byte",
    "greatest", "grouping", "initcap", "isempty", "isfinite", "json_agg", "json_array_elements",
    "json_array_elements_text", "json_array_length", "json_build_array", "json_build_object", "json_each",
    "json_each_text", "json_extract_path", "json_extract_path_text", "json_object", "json_object_agg",
    "json_object_keys", "json_populate_record", "json_populate_recordset", "json_strip_nulls", "json_to_record",
    "json_to_recordset", "json_typeof", "jsonb_agg", "jsonb_array_elements", "jsonb_array_elements_text",
    "jsonb_array_length", "jsonb_build_array", "jsonb_build_object", "jsonb_each", "jsonb_each_text",
    "jsonb_extract_path", "jsonb_extract_path_text", "jsonb_insert", "jsonb_object", "jsonb_object_agg",
    "jsonb_object_keys", "jsonb_path_exists", "jsonb_path_match", "jsonb_path_query", "jsonb_path_query_array",
    "jsonb_path_query_first", "jsonb_populate_record", "jsonb_populate_recordset", "jsonb_pretty", "jsonb_set",
    "jsonb_set_lax", "jsonb_strip_nulls", "jsonb_to_record", "jsonb_to_recordset", "jsonb_typeof",
    "justify_days", "justify_hours", "justify_interval", "lag", "last_value", "lcm", "lead", "least", "left",
    "length", "ln", "localtime", "localtimestamp", "log", "log10", "lower", "lower_inc", "lower_inf", "lpad",
    "ltrim", "make_date", "make_interval", "make_time", "make_timestamp", "make_timestamptz", "max", "md5", "min",
    "min_scale", "mod", "mode", "now", "nth_value", "ntile", "nullif", "num_nonnulls", "num_nulls",
    "octet_length", "overlay", "percent_rank", "percentile_cont", "percentile_disc", "phraseto_tsquery", "pi",
    "plainto_tsquery", "position", "pow", "power", "quote_ident", "quote_literal", "quote_nullable", "radians",
    "range_agg", "range_merge", "rank", "regexp_count", "regexp_instr", "regexp_like", "regexp_match",
    "regexp_matches", "regexp_replace", "regexp_split_to_array", "regexp_split_to_table", "regexp_substr",
    "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy",
    "regr_syy", "replace", "reverse", "right", "round", "row_number", "row_to_json", "rpad", "rtrim", "scale",
    "set_bit", "set_byte", "setweight", "sha224", "sha256", "sha384", "sha512", "sign", "sin", "sind", "sinh",
    "split_part", "sqrt", "starts_with", "statement_timestamp", "stddev", "stddev_pop", "stddev_samp",
    "string_agg", "string_to_array", "string_to_table", "strip", "strpos", "substr", "substring", "sum", "tan",
    "tand", "tanh", "timeofday", "to_ascii", "to_char", "to_date", "to_hex",
    "to_json", "to_jsonb", "to_number", "to_timestamp", "to_tsquery", "to_tsvector", "transaction_timestamp",
    "translate", "trim", "trim_array", "trim_scale", "trunc", "ts_headline", "ts_rank", "ts_rank_cd", "unistr",
    "unnest", "upper", "upper_inc", "upper_inf", "var_pop", "var_samp", "variance", "websearch_to_tsquery",
    "width_bucket",
];

#[cfg(test)]
mod tests {
    use super::{PURE, is_pure};

    #[test]
    fn the_list_is_sorted_and_has_no_way_out() {
        let mut sorted = PURE.to_vec();
        sorted.sort_unstable();
        assert_eq!(PURE, sorted);
        assert!(is_pure("sum"));
        for name in [
            "set_config",
            "current_setting",
            "pg_sleep",
            "pg_read_file",
            "lo_import",
            "dblink",
            "query_to_xml",
            "table_to_xml",
            "ts_stat",
            "nextval",
            "currval",
            "pg_advisory_lock",
            "pg_notify",
            "random",
            "version",
            "current_user",
            "pg_terminate_backend",
            "txid_current",
            "has_table_privilege",
            "obj_description",
        ] {
            assert!(!is_pure(name), "{name}");
        }
    }
}
