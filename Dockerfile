# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# The package over an official ROS image. Linted, not built where it was written: there is no Docker.
#
#   docker build --build-arg ROS_DISTRO=jazzy --tag locdreamer_ros .
#   docker run --rm --network host locdreamer_ros \
#       ros2 launch locdreamer_ros tracking.launch.py source:=simulator
#   docker run --rm --network host --device /dev/ttyACM0 --group-add dialout \
#       --volume "$PWD/site:/site:ro" locdreamer_ros \
#       ros2 launch locdreamer_ros robot.launch.py device:=decar port:=/dev/ttyACM0 anchors:=/site/anchors.csv
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

WORKDIR /opt/locdreamer
COPY package.xml src/locdreamer_ros/
# What the simulator and pictures need besides is said where it is missing; scipy is here for `source:=simulator`.
# hadolint ignore=DL3008
RUN apt-get update \
    && rosdep install --from-paths src --ignore-src --default-yes --rosdistro "${ROS_DISTRO}" \
    && apt-get install --yes --no-install-recommends python3-scipy \
    && rm -rf /var/lib/apt/lists/*

COPY . src/locdreamer_ros
RUN source "/opt/ros/${ROS_DISTRO}/setup.bash" \
    && colcon build --packages-select locdreamer_ros --cmake-args -DBUILD_TESTING=OFF \
    && rm -rf build log \
    && printf '#!/bin/bash\nset -e\nsource /opt/locdreamer/install/setup.bash\nexec "$@"\n' > /entrypoint.sh \
    && chmod +x /entrypoint.sh \
    && useradd --create-home --uid 1234 robot

USER 1234
WORKDIR /home/robot
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "locdreamer_ros", "tracking.launch.py", "--show-args"]
