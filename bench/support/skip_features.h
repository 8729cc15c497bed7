#pragma once

#include <cstdint>
#include <filesystem>

namespace retouchd::bench {

/// Draws pictures, restores each with the built-in network on the CPU, and writes a CSV file: image::GainFeatures, what the
/// network really gained in dB against the truth, and what the camera had done. training/fit_skip.py learns from it. Ends the
/// program with a message when the network is not there or the file cannot be written.
void write_skip_features(const std::filesystem::path& file, std::uint64_t seed, int pictures);

}  // namespace retouchd::bench
