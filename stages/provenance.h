#pragma once

#include <string>

#include "image/picture.h"
#include "stages/picture_run.h"

namespace retouchd::stages {

/// What was done to a picture, for its XMP (docs/formats.md lists the names). The same work on the same picture says the same: no
/// times, no job numbers. `software`: name and version of this program.
[[nodiscard]] image::Provenance provenance_of(const PictureRun& run, const std::string& software);

}  // namespace retouchd::stages
