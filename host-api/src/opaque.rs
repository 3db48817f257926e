//! What is shown of types that hold handles and borrowed gates: that they are there.

use std::fmt;

use crate::artifact::ArtifactView;
use crate::files::FilesView;
use crate::http::HttpView;
use crate::link::Host;
use crate::step::{StepInstance, StepPre};

impl fmt::Debug for ArtifactView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtifactView").finish_non_exhaustive()
    }
}

impl fmt::Debug for FilesView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilesView").finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpView").finish_non_exhaustive()
    }
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl fmt::Debug for StepInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepInstance").finish_non_exhaustive()
    }
}

impl<T: 'static> fmt::Debug for StepPre<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepPre").finish_non_exhaustive()
    }
}
