//! What the text of a statement alone does not tell: `a.b` is a column, or the function `b` of the row `a`.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, DataType, Expr, Ident, ObjectName, ObjectNamePart, TableAlias,
};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use wflo_ports::DbError;

use super::functions::is_pure;
use super::name::folded;
use crate::db::postgres::error::translate;
use crate::db::postgres::table::qualified;

/// The names that are functions a step may not call and no columns of the tables they would have to be of.
///
/// A function of the server's own is harmless where it always computes the same of the same, where a cast is made by it,
/// and where it is on the list of those that may be called.
const CALLED: &str = "SELECT d.name FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))
        AS d(name, relation, pure)
    WHERE EXISTS (SELECT FROM pg_catalog.pg_proc p
        WHERE p.proname = d.name AND (p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1 OR p.provariadic <> 0)
          AND (p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace OR NOT (d.pure OR p.provolatile = 'i'
            OR EXISTS (SELECT FROM pg_catalog.pg_cast c WHERE c.castfunc = p.oid))))
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = pg_catalog.to_regclass(d.relation) AND a.attname = d.name AND NOT a.attisdropped)
    LIMIT 1";

/// The types that are the rows of a table: a value of one has the names of its columns in it.
const ROWS: &str = "SELECT t.typname::text FROM pg_catalog.pg_type t
    LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
    JOIN pg_catalog.pg_class c ON c.oid IN (t.typrelid, b.typrelid)
    WHERE t.typname = ANY ($1) AND c.relkind <> 'c' LIMIT 1";

/// A table that has a name in a statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    /// As grants name it.
    pub(super) table: String,
    /// The columns that the step sees, if not all.
    pub(super) columns: Option<BTreeSet<String>>,
}

/// What has to be asked before a statement is sent.
#[derive(Clone, Debug, Default)]
pub(in crate::db::postgres) struct Doubts {
    /// What stands behind the point of `a.b`, by what stands before it.
    qualified: BTreeSet<(String, String)>,
    /// What has a name: a table, or anything else that gives rows.
    named: BTreeMap<String, BTreeSet<Option<Named>>>,
    types: BTreeSet<String>,
}

impl Doubts {
    /// Notes that a name stands for this.
    pub(super) fn name(&mut self, name: String, what: Option<Named>) {
        self.named.entry(name).or_default().insert(what);
    }

    /// Notes a name with points in it. False if it is none that could be that of a column.
    pub(super) fn column(&mut self, parts: &[&Ident]) -> bool {
        match parts {
            [of, name] | [_, of, name] => {
                self.qualified.insert((folded(of), folded(name)));
                true
            }
            _ => false,
        }
    }

    /// Notes what is taken out of a value. False if it is more than elements of arrays: a field of a row, or a function of
    /// the value.
    pub(super) fn access(&mut self, root: &Expr, chain: &[AccessExpr]) -> bool {
        let mut chain = chain.iter().peekable();
        if let Expr::Identifier(first) = root {
            let mut parts = vec![first];
            while let Some(AccessExpr::Dot(Expr::Identifier(part))) =
                chain.next_if(|access| matches!(access, AccessExpr::Dot(Expr::Identifier(_))))
            {
                parts.push(part);
            }
            if parts.len() > 1 && !self.column(&parts) {
                return false;
            }
        }
        chain.all(|access| matches!(access, AccessExpr::Subscript(_)))
    }

    /// Notes the types of an alias. The first that is none of a step's, if there is one.
    pub(super) fn alias(&mut self, alias: &TableAlias) -> Result<(), String> {
        alias
            .columns
            .iter()
            .filter_map(|column| column.data_type.as_ref())
            .try_for_each(|it| self.data_type(it))
    }

    /// Notes a type that a value is made. Those that look names up in the catalog are none of a step's.
    pub(super) fn data_type(&mut self, data_type: &DataType) -> Result<(), String> {
        match data_type {
            DataType::Array(
                ArrayElemTypeDef::AngleBracket(of)
                | ArrayElemTypeDef::SquareBracket(of, _)
                | ArrayElemTypeDef::Parenthesis(of)
                | ArrayElemTypeDef::Qualified(of, _),
            ) => self.data_type(of),
            DataType::Custom(name, _) => self.custom(name),
            // What is left are words of other databases, which a table may have as its name.
            _ if is_own(data_type) => Ok(()),
            _ => Err(data_type.to_string()),
        }
    }

    fn custom(&mut self, name: &ObjectName) -> Result<(), String> {
        let Some(ObjectNamePart::Identifier(last)) = name.0.last() else { return Err(name.to_string()) };
        let last = folded(last);
        // With `_` before it, a type is that of arrays of it.
        if ["reg", "pg_", "_"].iter().any(|own| last.starts_with(own)) {
            return Err(last);
        }
        self.types.insert(last);
        Ok(())
    }

    /// The names of the types that values are made, without their schemas.
    pub(super) const fn types(&self) -> &BTreeSet<String> {
        &self.types
    }

    /// Asks the database.
    ///
    /// # Errors
    /// [`DbError::Denied`] where a function would be called that a step may not call, or the columns of a table be told.
    pub(in crate::db::postgres) async fn settle(&self, client: &Client) -> Result<(), DbError> {
        let (mut names, mut relations, mut pure) = (Vec::new(), Vec::new(), Vec::new());
        for (of, name) in &self.qualified {
            let unknown = BTreeSet::from([None]);
            for what in self.named.get(of).unwrap_or(&unknown) {
                let seen =
                    what.as_ref().filter(|it| it.columns.as_ref().is_none_or(|all| all.contains(name)));
                names.push(name.as_str());
                relations.push(seen.map(|it| qualified(&it.table)));
                pure.push(is_pure(name));
            }
        }
        if !names.is_empty() {
            let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
                [(&names, Type::TEXT_ARRAY), (&relations, Type::TEXT_ARRAY), (&pure, Type::BOOL_ARRAY)];
            if let Some(row) = client.query_typed(CALLED, &params).await.map_err(translate)?.first() {
                let name: &str = row.try_get(0).map_err(translate)?;
                return Err(DbError::Denied(format!(
                    "`{name}` behind a point is that of a function here, which is never open to a step so; for a column of \
                     that name, write it without what stands before the point, or give it another in the subquery"
                )));
            }
        }
        if !self.types.is_empty() {
            let types: Vec<&str> = self.types.iter().map(String::as_str).collect();
            let found = client.query_typed(ROWS, &[(&types, Type::TEXT_ARRAY)]).await.map_err(translate)?;
            if let Some(row) = found.first() {
                let name: &str = row.try_get(0).map_err(translate)?;
                return Err(DbError::Denied(format!(
                    "type `{name}` is never open to a step: it is that of a table's rows"
                )));
            }
        }
        Ok(())
    }
}

/// Whether a type is PostgreSQL's own, so that no other can have its name.
const fn is_own(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Character(_)
            | DataType::Char(_)
            | DataType::CharacterVarying(_)
            | DataType::CharVarying(_)
            | DataType::Varchar(_)
            | DataType::Text
            | DataType::Uuid
            | DataType::Numeric(_)
            | DataType::Decimal(_)
            | DataType::Dec(_)
            | DataType::Float(_)
            | DataType::Float4
            | DataType::Float8
            | DataType::Real
            | DataType::Double(_)
            | DataType::DoublePrecision
            | DataType::SmallInt(_)
            | DataType::Int(_)
            | DataType::Integer(_)
            | DataType::BigInt(_)
            | DataType::Int2(_)
            | DataType::Int4(_)
            | DataType::Int8(_)
            | DataType::Bool
            | DataType::Boolean
            | DataType::Date
            | DataType::Time(..)
            | DataType::Timestamp(..)
            | DataType::Interval { .. }
            | DataType::JSON
            | DataType::JSONB
            | DataType::Bytea
            | DataType::Bit(_)
            | DataType::BitVarying(_)
            | DataType::VarBit(_)
            | DataType::GeometricType(_)
            | DataType::TsVector
            | DataType::TsQuery
    )
}
