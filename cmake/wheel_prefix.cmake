# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# For a ROS prefix made of wheels: pass it with -DCMAKE_PROJECT_INCLUDE=<this file>. The wheels'
# exported targets name an include directory of the machine that built them, and CMake refuses to
# generate for a target with an include directory that does not exist. Dropping those, after the
# whole CMakeLists.txt has run, keeps CMakeLists.txt the standard one of a ROS distribution.

function(_drop_missing_include_directories)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(directories)
      set(existing "")
      foreach(directory IN LISTS directories)
        if(directory MATCHES "^\\$<" OR EXISTS "${directory}")
          list(APPEND existing "${directory}")
        endif()
      endforeach()
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${existing}")
    endif()
  endforeach()
endfunction()

cmake_language(DEFER CALL _drop_missing_include_directories)
