retouchd_unit_tests(image
  codec_test.cpp gain_features_test.cpp hostile_test.cpp jpeg_test.cpp lost_detail_test.cpp metadata_test.cpp noise_estimate_test.cpp orientation_test.cpp png_test.cpp psnr_test.cpp resize_test.cpp
  sample_files.cpp sample_pictures.cpp signature_test.cpp tiff_test.cpp webp_test.cpp
  LIBS retouchd_image JPEG::JPEG PNG::PNG TIFF::TIFF PkgConfig::EXIV2 fmt::fmt)
