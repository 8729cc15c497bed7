# OpenCV as the imported target OpenCV::OpenCV.
#
# Uses OpenCV's own CMake package where it is installed; Debian ships that only in libopencv-dev (129 packages), while
# libopencv-core-dev and libopencv-imgproc-dev are all we need, so the libraries are also found one by one.

find_package(OpenCV QUIET CONFIG COMPONENTS core imgproc)
if(OpenCV_FOUND)
  set(OpenCV_INCLUDE_DIR ${OpenCV_INCLUDE_DIRS})
  set(OpenCV_LIBRARIES opencv_core opencv_imgproc)
else()
  find_path(OpenCV_INCLUDE_DIR opencv2/core/version.hpp PATH_SUFFIXES opencv4)
  find_library(OpenCV_CORE_LIBRARY opencv_core)
  find_library(OpenCV_IMGPROC_LIBRARY opencv_imgproc)
  if(OpenCV_CORE_LIBRARY AND OpenCV_IMGPROC_LIBRARY)
    set(OpenCV_LIBRARIES ${OpenCV_IMGPROC_LIBRARY} ${OpenCV_CORE_LIBRARY})
  endif()
  if(OpenCV_INCLUDE_DIR)
    file(STRINGS ${OpenCV_INCLUDE_DIR}/opencv2/core/version.hpp _opencv_version REGEX "#define CV_VERSION_(MAJOR|MINOR|REVISION)")
    string(REGEX MATCHALL "[0-9]+" _opencv_version "${_opencv_version}")
    list(JOIN _opencv_version "." OpenCV_VERSION)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCV REQUIRED_VARS OpenCV_LIBRARIES OpenCV_INCLUDE_DIR VERSION_VAR OpenCV_VERSION)

if(OpenCV_FOUND AND NOT TARGET OpenCV::OpenCV)
  add_library(OpenCV::OpenCV INTERFACE IMPORTED)
  target_include_directories(OpenCV::OpenCV SYSTEM INTERFACE ${OpenCV_INCLUDE_DIR})
  target_link_libraries(OpenCV::OpenCV INTERFACE ${OpenCV_LIBRARIES})
endif()
