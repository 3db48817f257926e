//! Reads rows out of an artifact.

use async_trait::async_trait;
use wflo_model::{RowFormat, SqlValue};
use wflo_ports::{DbError, RowSource};

use super::{csv, json_lines};
use crate::artifact::Pieces;

/// Rows of a batch, and bytes of their text: whichever is reached first.
const BATCH: (usize, usize) = (1000, 1 << 20);

/// Longest record, in bytes: a file without line ends must not fill the memory.
const LONGEST: usize = 16 << 20;

/// One row, before its values have their places: by the names of its columns, or in their order.
pub(super) enum Record {
    Named(Vec<(String, SqlValue)>),
    InOrder(Vec<SqlValue>),
}

/// The rows of an artifact, on their way into a table.
pub(super) struct ArtifactRows {
    text: Text,
    format: RowFormat,
    columns: Vec<String>,
    /// The columns as the first line of a CSV file names them.
    header: Vec<String>,
    /// The first record of a file that has no such line, where the columns were read off it.
    first: Option<Record>,
    given: Given,
    /// The first and the last line of the batch with the row that the database does not take.
    refused: Option<(u64, u64)>,
}

impl ArtifactRows {
    /// Begins to read. The columns are those that were asked for, or else those of the file; none where it is empty.
    pub(super) async fn open(
        pieces: Pieces,
        format: RowFormat,
        columns: &[String],
    ) -> Result<Option<Self>, DbError> {
        let text = Text { pieces, bytes: Vec::new(), at: 0, is_over: false, line: 0, begins: 0, read: 0 };
        let columns = columns.to_vec();
        let (header, given) = (Vec::new(), Given::default());
        let mut rows = Self { text, format, columns, header, first: None, given, refused: None };
        match format {
            RowFormat::Csv => {
                let Some(record) = rows.text.record(csv::end).await? else { return Ok(None) };
                rows.header = csv::header(record).map_err(|why| rows.text.bad(&why))?;
                if rows.columns.is_empty() {
                    rows.columns.clone_from(&rows.header);
                }
            }
            RowFormat::JsonLines => {
                rows.first = rows.record().await?;
                match &rows.first {
                    None => return Ok(None),
                    Some(Record::Named(values)) if rows.columns.is_empty() => {
                        rows.columns = values.iter().map(|(name, _)| name.clone()).collect();
                    }
                    Some(Record::InOrder(_)) if rows.columns.is_empty() => {
                        return Err(rows.text.bad("the columns are not named, neither here nor in the call"));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(Some(rows))
    }

    /// The columns that each row has values for.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The lines among which the row is that the database does not take, if it said which.
    pub(super) const fn refused_lines(&self) -> Option<(u64, u64)> {
        self.refused
    }

    async fn record(&mut self) -> Result<Option<Record>, DbError> {
        loop {
            let end = match self.format {
                RowFormat::JsonLines => json_lines::end,
                RowFormat::Csv => csv::end,
            };
            let Some(record) = self.text.record(end).await? else { return Ok(None) };
            let read = match self.format {
                RowFormat::JsonLines => json_lines::read(record),
                RowFormat::Csv => csv::read(record, &self.header),
            };
            match read {
                // An empty line.
                Ok(None) => {}
                Ok(record) => return Ok(record),
                Err(why) => return Err(self.text.bad(&why)),
            }
        }
    }

    /// Gives the values of a record their places.
    fn place(&self, record: Record) -> Result<Vec<SqlValue>, DbError> {
        match record {
            Record::InOrder(values) if values.len() == self.columns.len() => Ok(values),
            Record::InOrder(values) => {
                let (has, wants) = (values.len(), self.columns.len());
                Err(self.text.bad(&format!("{has} values for {wants} columns")))
            }
            Record::Named(values) => {
                let mut row = vec![SqlValue::Null; self.columns.len()];
                for (name, value) in values {
                    match self.columns.iter().position(|column| *column == name) {
                        Some(at) => row[at] = value,
                        None => return Err(self.text.bad(&format!("there is no column `{name}`"))),
                    }
                }
                Ok(row)
            }
        }
    }
}

#[async_trait]
impl RowSource for ArtifactRows {
    async fn next(&mut self) -> Result<Option<Vec<Vec<SqlValue>>>, DbError> {
        let mut batch = Vec::new();
        let began = self.text.read;
        let mut from = 0;
        while batch.len() < BATCH.0 && self.text.read - began < BATCH.1 as u64 {
            let record = match self.first.take() {
                Some(first) => Some(first),
                None => self.record().await?,
            };
            let Some(record) = record else { break };
            batch.push(self.place(record)?);
            from = if from == 0 { self.text.begins } else { from };
        }
        if batch.is_empty() {
            return Ok(None);
        }
        self.given.batch(batch.len() as u64, (from, self.text.line));
        Ok(Some(batch))
    }

    fn refused(&mut self, row: u64) {
        self.refused = self.given.lines_of(row);
    }
}

/// The batches that were given: of each the rows up to its end, and its first and last line. The database may say which row
/// it does not take when it has long been given others.
#[derive(Default)]
struct Given(Vec<(u64, (u64, u64))>);

impl Given {
    fn batch(&mut self, rows: u64, lines: (u64, u64)) {
        let before = self.0.last().map_or(0, |(end, _)| *end);
        self.0.push((before + rows, lines));
    }

    /// The first and the last line of the batch with a row, from 0.
    fn lines_of(&self, row: u64) -> Option<(u64, u64)> {
        let at = self.0.partition_point(|(end, _)| *end <= row);
        self.0.get(at).map(|(_, lines)| *lines)
    }
}

/// Finds the end of the first record of a text: how long it is, its line end included. None where the text may go on.
pub(super) type FindEnd = fn(&[u8]) -> Option<usize>;

/// The text of an artifact, record by record.
struct Text {
    pieces: Pieces,
    bytes: Vec<u8>,
    /// Where the next record begins.
    at: usize,
    is_over: bool,
    /// Lines up to the end of the newest record.
    line: u64,
    /// The line in which the newest record begins, from 1.
    begins: u64,
    /// Bytes of all records so far.
    read: u64,
}

impl Text {
    /// The next record, with its line end.
    async fn record(&mut self, end: FindEnd) -> Result<Option<&[u8]>, DbError> {
        let length = loop {
            if let Some(length) = end(&self.bytes[self.at..]) {
                break length;
            }
            let held = self.bytes.len() - self.at;
            if self.is_over {
                break held;
            }
            if held > LONGEST {
                self.begins = self.line + 1;
                return Err(self.bad(&format!("it has more than {LONGEST} bytes")));
            }
            self.bytes.drain(..self.at);
            self.at = 0;
            match self.pieces.next().await.map_err(|error| DbError::Unavailable(error.to_string()))? {
                Some(piece) => self.bytes.extend(piece),
                None => self.is_over = true,
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let record = &self.bytes[self.at..self.at + length];
        self.at += length;
        self.read += length as u64;
        self.begins = self.line + 1;
        let ends = record.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.line += ends.max(u64::from(self.is_over && !record.ends_with(b"\n")));
        Ok(Some(record))
    }

    /// What is wrong with the newest record.
    fn bad(&self, why: &str) -> DbError {
        DbError::Invalid(format!("line {} of the artifact: {why}", self.begins))
    }
}

#[cfg(test)]
mod tests {
    use super::Given;

    #[test]
    fn a_row_is_among_the_lines_of_its_batch_whatever_came_after_it() {
        let mut given = Given::default();
        assert_eq!(given.lines_of(0), None);
        given.batch(1000, (2, 1001));
        given.batch(2, (1002, 1007));
        let lines = [0, 999, 1000, 1001, 1002].map(|row| given.lines_of(row));
        let (first, second) = (Some((2, 1001)), Some((1002, 1007)));
        assert_eq!(lines, [first, first, second, second, None]);
    }
}
