//! The clinic: its patients, and what is known about them.

use jiff::Timestamp;

use crate::case::{ALLERGIES, CASES, Case, KETOACIDOSIS, MEDICATION, PNEUMONIA};
use crate::random::Random;

/// Patients of the clinic, numbered from 1.
const PATIENTS: i64 = 48;
/// 2026-01-12T06:00:00Z: nobody came before.
const BEGIN: i64 = 1_768_197_600;

const GIVEN: [&str; 12] =
    ["Ada", "Bruno", "Clara", "Dario", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Katja", "Luca"];
const FAMILY: [&str; 10] =
    ["Keller", "Moser", "Yilmaz", "Brunner", "Rossi", "Huber", "Novak", "Frei", "Santos", "Wolf"];
const STREETS: [&str; 5] = ["Bahnhofstrasse", "Seeweg", "Lindenallee", "Am Graben", "Kirchgasse"];
const STAFF: [&str; 4] = ["nurse b. amsler", "dr. okafor", "dr. lindt", "nurse t. vogel"];

/// Everything in the database, and the truth about it, which is not in the database.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Clinic {
    /// By number.
    pub(crate) patients: Vec<Patient>,
    /// By patient, then in the order they were written down.
    pub(crate) records: Vec<Record>,
}

/// One patient.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Patient {
    pub(crate) id: i64,
    pub(crate) name: String,
    /// A day, such as `1961-04-30`.
    pub(crate) born: String,
    pub(crate) sex: &'static str,
    pub(crate) address: String,
    pub(crate) insurance: String,
    /// What they have.
    pub(crate) case: &'static str,
}

/// One thing that is known about a patient.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) patient: i64,
    pub(crate) at: String,
    /// `complaint`, `vital`, `lab`, `allergy` or `medication`.
    pub(crate) kind: &'static str,
    pub(crate) finding: &'static str,
    pub(crate) value: Option<String>,
    pub(crate) unit: Option<&'static str>,
    pub(crate) by: &'static str,
}

impl Clinic {
    /// Makes a clinic; equal seeds make equal clinics.
    pub(crate) fn generate(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut clinic = Self { patients: Vec::new(), records: Vec::new() };
        for id in 1..=PATIENTS {
            // The README tells of these two.
            let case = match id {
                17 => PNEUMONIA,
                4 => KETOACIDOSIS,
                _ => random.pick(&CASES),
            };
            clinic.patients.push(patient(id, case, &mut random));
            clinic.write_down(id, case, &mut random);
        }
        clinic
    }

    fn write_down(&mut self, patient: i64, case: &Case, random: &mut Random) {
        let mut at = BEGIN + random.between(0, 5 * 86_400);
        let mut add = |kind, finding, value, unit, random: &mut Random| {
            at += random.between(60, 1200);
            let by = random.pick(&STAFF);
            self.records.push(Record { patient, at: timestamp(at), kind, finding, value, unit, by });
        };
        for complaint in case.complaints {
            add("complaint", complaint, None, None, random);
        }
        let allergy = if patient == 17 { ALLERGIES[0] } else { random.pick(&ALLERGIES) };
        add("allergy", allergy, None, None, random);
        add("medication", random.pick(&MEDICATION), None, None, random);
        for measure in case.measured {
            let (low, high) = measure.tenths;
            let tenths = random.between(low, high);
            let value = format!("{}.{}", tenths / 10, tenths % 10);
            let unit = Some(measure.unit).filter(|unit| !unit.is_empty());
            add(measure.kind, measure.finding, Some(value), unit, random);
        }
    }
}

fn patient(id: i64, case: &Case, random: &mut Random) -> Patient {
    let name = format!("{} {}", random.pick(&GIVEN), random.pick(&FAMILY));
    let (year, month, day) = (random.between(1938, 2004), random.between(1, 12), random.between(1, 28));
    Patient {
        id,
        name,
        born: format!("{year}-{month:02}-{day:02}"),
        sex: random.pick(&["f", "m"]),
        address: format!("{} {}", random.pick(&STREETS), random.between(1, 120)),
        insurance: format!("756.{:04}.{:04}", random.between(0, 9999), random.between(0, 9999)),
        case: case.name,
    }
}

fn timestamp(seconds: i64) -> String {
    Timestamp::from_second(seconds).expect("it is in this century").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_make_equal_clinics() {
        assert_eq!(Clinic::generate(11), Clinic::generate(11));
        assert_ne!(Clinic::generate(11), Clinic::generate(12));
    }

    #[test]
    fn everybody_has_complaints_an_allergy_or_none_and_measurements() {
        let clinic = Clinic::generate(11);
        assert_eq!(clinic.patients.len(), 48);
        for patient in &clinic.patients {
            let of: Vec<_> = clinic.records.iter().filter(|record| record.patient == patient.id).collect();
            assert!(of.len() >= 8, "{patient:?}");
            let allergies = of.iter().filter(|record| record.kind == "allergy").count();
            assert_eq!(allergies, 1, "{patient:?}");
            assert!(of.iter().filter(|record| record.kind == "lab").all(|lab| lab.value.is_some()));
        }
        assert_eq!(clinic.patients[16].case, "community-acquired pneumonia");
    }
}
