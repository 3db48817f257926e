//! Illnesses, and what is found in those who have them. Made up from textbooks, for software to be tried on: nobody is to
//! be treated by it.

/// An illness, and what it leaves in the records of who has it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What they come with.
    pub(crate) complaints: &'static [&'static str],
    /// What is measured at the bed, and in the laboratory.
    pub(crate) measured: &'static [Measure],
}

/// Something that is measured: tenths of its unit, from and to.
pub(crate) struct Measure {
    pub(crate) kind: &'static str,
    pub(crate) finding: &'static str,
    pub(crate) tenths: (i64, i64),
    pub(crate) unit: &'static str,
}

const fn vital(finding: &'static str, low: i64, high: i64, unit: &'static str) -> Measure {
    Measure { kind: "vital", finding, tenths: (low, high), unit }
}

const fn lab(finding: &'static str, low: i64, high: i64, unit: &'static str) -> Measure {
    Measure { kind: "lab", finding, tenths: (low, high), unit }
}

pub(crate) const PNEUMONIA: &Case = &Case {
    name: "community-acquired pneumonia",
    complaints: &["cough with yellow sputum for 3 days", "pain on the right when breathing in", "chills"],
    measured: &[
        vital("temperature", 386, 397, "C"),
        vital("heart rate", 1020, 1180, "/min"),
        vital("respiratory rate", 220, 270, "/min"),
        vital("oxygen saturation", 900, 930, "%"),
        lab("C-reactive protein", 1200, 2100, "mg/l"),
        lab("leukocytes", 130, 185, "G/l"),
        lab("procalcitonin", 12, 45, "ug/l"),
    ],
};

pub(crate) const KETOACIDOSIS: &Case = &Case {
    name: "diabetic ketoacidosis",
    complaints: &[
        "thirst and frequent urination for a week",
        "nausea, vomited twice",
        "tired, breathes deeply",
    ],
    measured: &[
        vital("temperature", 364, 372, "C"),
        vital("heart rate", 1080, 1240, "/min"),
        vital("respiratory rate", 260, 320, "/min"),
        lab("glucose", 230, 340, "mmol/l"),
        lab("pH", 70, 72, ""),
        lab("bicarbonate", 80, 120, "mmol/l"),
        lab("ketones", 45, 68, "mmol/l"),
        lab("potassium", 50, 58, "mmol/l"),
    ],
};

pub(crate) const APPENDICITIS: &Case = &Case {
    name: "acute appendicitis",
    complaints: &["pain that moved from the navel to the lower right since yesterday", "no appetite"],
    measured: &[
        vital("temperature", 376, 384, "C"),
        vital("heart rate", 880, 1020, "/min"),
        lab("C-reactive protein", 300, 780, "mg/l"),
        lab("leukocytes", 121, 158, "G/l"),
    ],
};

pub(crate) const EMBOLISM: &Case = &Case {
    name: "pulmonary embolism",
    complaints: &["sudden shortness of breath this morning", "left calf swollen since a long flight"],
    measured: &[
        vital("temperature", 366, 376, "C"),
        vital("heart rate", 1100, 1260, "/min"),
        vital("respiratory rate", 240, 300, "/min"),
        vital("oxygen saturation", 870, 910, "%"),
        lab("D-dimer", 28, 74, "mg/l"),
        lab("troponin T", 180, 420, "ng/l"),
    ],
};

pub(crate) const PYELONEPHRITIS: &Case = &Case {
    name: "acute pyelonephritis",
    complaints: &["pain in the left flank for 2 days", "burning when urinating", "shivering"],
    measured: &[
        vital("temperature", 385, 394, "C"),
        vital("heart rate", 960, 1100, "/min"),
        lab("C-reactive protein", 900, 1700, "mg/l"),
        lab("leukocytes in urine", 2500, 5000, "/ul"),
        lab("creatinine", 750, 1050, "umol/l"),
    ],
};

/// All of them.
pub(crate) const CASES: [&Case; 5] = [PNEUMONIA, KETOACIDOSIS, APPENDICITIS, EMBOLISM, PYELONEPHRITIS];

/// What somebody may not be given.
pub(crate) const ALLERGIES: [&str; 4] =
    ["penicillin: anaphylaxis", "sulfonamides: rash", "iodine contrast: hives", "none known"];
/// What somebody takes already.
pub(crate) const MEDICATION: [&str; 5] = [
    "none",
    "metformin 1000 mg twice a day",
    "warfarin 5 mg a day",
    "ramipril 5 mg a day",
    "simvastatin 20 mg a day",
];
