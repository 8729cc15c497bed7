# What `cmake --install` puts below the prefix; included at the end of the top CMakeLists.txt.
#
#   bin/                         retouchd, retouch
#   libexec/retouchd/            retouchd-codec, which retouchd starts
#   lib[/<arch>]/retouchd/       modules for CUDA devices (Cuda.cmake); LibTorch: a service cannot read the build's folders below /home
#                                (RETOUCHD_INSTALL_LIBTORCH)
#   share/retouchd/models/       weights and model cards
#   share/doc/retouchd/          manuals, retouchd.example.yaml, drop-ins of the unit
#   lib/systemd/{system,user}/   units, with the paths of this installation
#   lib/{sysusers,tmpfiles}.d/   the service's account and folders

include(GNUInstallDirs)
option(RETOUCHD_INSTALL_LIBTORCH "Install a copy of LibTorch with the programs; OFF for one from a package" ON)

set(_private_libraries ${CMAKE_INSTALL_LIBDIR}/${PROJECT_NAME})

foreach(_program retouchd retouch)
  if(TARGET ${_program})
    install(TARGETS ${_program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    cmake_path(RELATIVE_PATH _private_libraries BASE_DIRECTORY ${CMAKE_INSTALL_BINDIR} OUTPUT_VARIABLE _from_program)
    set(_rpath "$ORIGIN/${_from_program}")
    if(RETOUCHD_INSTALL_LIBTORCH)
      list(APPEND _rpath "$ORIGIN/${_from_program}/torch/lib")
    endif()
    set_target_properties(${_program} PROPERTIES INSTALL_RPATH "${_rpath}")
  endif()
endforeach()

install(TARGETS retouchd-codec RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/${PROJECT_NAME})

# LibTorch's libraries find NVIDIA's by paths relative to their own (RPATH $ORIGIN/../../nvidia/...), so the wheels' layout is kept.
if(RETOUCHD_INSTALL_LIBTORCH AND LIBTORCH_LIB_DIR)
  file(REAL_PATH ${LIBTORCH_LIB_DIR} _torch_libraries)
  install(DIRECTORY ${_torch_libraries}/ DESTINATION ${_private_libraries}/torch/lib
    FILES_MATCHING PATTERN "*.so" PATTERN "*.so.*" PATTERN "libtorch_python.so" EXCLUDE PATTERN "libshm*" EXCLUDE)
  cmake_path(SET _nvidia NORMALIZE ${_torch_libraries}/../../nvidia)
  file(GLOB_RECURSE _nvidia_libraries RELATIVE ${_nvidia} ${_nvidia}/*.so ${_nvidia}/*.so.*)
  list(FILTER _nvidia_libraries EXCLUDE REGEX libnvvm)  # the compiler's
  foreach(_library ${_nvidia_libraries})
    cmake_path(GET _library PARENT_PATH _folder)
    install(FILES ${_nvidia}/${_library} DESTINATION ${_private_libraries}/nvidia/${_folder})
  endforeach()
endif()

install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/${PROJECT_NAME}/models
  FILES_MATCHING PATTERN "*.safetensors" PATTERN "*.md" PATTERN "*.golden.*" EXCLUDE)

install(FILES ${PROJECT_SOURCE_DIR}/config/retouchd.example.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/systemd/drop-ins DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The prefix is known for sure only at installation (`cmake --install --prefix`), so the units are written then.
set(_units ${PROJECT_BINARY_DIR}/systemd)
install(CODE "
  foreach(unit retouchd.service user/retouchd.service)
    file(READ \"${PROJECT_SOURCE_DIR}/systemd/\${unit}\" text)
    string(REPLACE /usr/bin/retouchd \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/retouchd\" text \"\${text}\")
    string(REPLACE /usr/share/doc/retouchd \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DOCDIR}\" text \"\${text}\")
    file(WRITE \"${_units}/\${unit}\" \"\${text}\")
  endforeach()")
install(FILES ${_units}/retouchd.service DESTINATION lib/systemd/system)
install(FILES ${_units}/user/retouchd.service DESTINATION lib/systemd/user)
install(FILES ${PROJECT_SOURCE_DIR}/systemd/retouchd.sysusers DESTINATION lib/sysusers.d RENAME retouchd.conf)
install(FILES ${PROJECT_SOURCE_DIR}/systemd/retouchd.tmpfiles DESTINATION lib/tmpfiles.d RENAME retouchd.conf)
