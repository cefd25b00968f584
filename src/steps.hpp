// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Steps of the filter, for Python: `network`, `model`, `predict`, `update`.

#ifndef LOCDREAMER_ROS__STEPS_HPP_
#define LOCDREAMER_ROS__STEPS_HPP_

#include "python.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "filter.hpp"
#include "update.hpp"

namespace locdreamer_ros
{

constexpr const char * NETWORK = "locdreamer_ros._compiled.network";
constexpr const char * MODEL = "locdreamer_ros._compiled.model";

// A network on a site: axes of what is shown, whether the tag climbs, places (A, 3).
struct Model
{
  const Network * net;
  PyObject * keeps;  // the network's capsule
  int axes;
  bool climbs;
  Numbers places;
  int64_t anchors() const {return static_cast<int64_t>(places.size() / SPACE);}
};

inline const Network * network_of(PyObject * capsule)
{
  return static_cast<const Network *>(PyCapsule_GetPointer(capsule, NETWORK));
}

inline const Model * model_of(PyObject * capsule)
{
  return static_cast<const Model *>(PyCapsule_GetPointer(capsule, MODEL));
}

// network(flat): weights and constants in the order of Network, matrices as (output, input).
inline PyObject * make_network(PyObject *, PyObject * flat)
{
  In given(flat);
  if (!given.holds(WEIGHTS)) {
    PyErr_SetString(PyExc_ValueError, "not the weights this was compiled for");
    return nullptr;
  }
  auto net = std::make_unique<Network>();
  const double * next = given.data<double>();
  auto matrix = [&](auto * to, int inputs, int outputs) {
      for (int j = 0; j < outputs; j++) {
        for (int i = 0; i < inputs; i++) {to[i * outputs + j] = *next++;}  // perhaps a single
      }
    };
  auto plain = [&](auto * to, int count) {
      std::copy(next, next + count, to);
      next += count;
    };
  matrix(net->token[0].at, SEEN, WIDTH);
  plain(net->token_bias.at, WIDTH);
  matrix(net->pool[0].at, 2 * WIDTH, WIDTH);
  plain(net->pool_bias.at, WIDTH);
  matrix(net->mix[0].at, 2 * WIDTH, WIDTH);
  plain(net->mix_bias.at, WIDTH);
  plain(net->range_head[0].at, 3 * WIDTH);
  plain(net->range_bias, 3);
  plain(net->motion_head[0].at, 2 * WIDTH);
  plain(net->motion_bias, 2);
  matrix(&net->climate[0][0], CONTEXT + 2, HIDDEN);
  plain(net->climate_bias, HIDDEN);
  plain(&net->climate_head[0][0], 4 * HIDDEN);
  plain(net->climate_head_bias, 4);
  matrix(&net->trust[0][0], CONTEXT + 1, HIDDEN);
  plain(net->trust_bias, HIDDEN);
  plain(net->trust_head, HIDDEN);
  for (double * value : {
      &net->trust_head_bias, &net->acceleration, &net->vertical, &net->common_walk, &net->own,
      &net->own_time, &net->local, &net->local_time, &net->local_way, &net->sigma, &net->pace[0],
      &net->pace[1], &net->pace[2], &net->silent, &net->floor, &net->most_ahead,
      &net->near, &net->near_at})
  {
    *value = *next++;
  }
  PyObject * capsule = PyCapsule_New(
    net.get(), NETWORK, [](PyObject * self) {
      delete static_cast<Network *>(PyCapsule_GetPointer(self, NETWORK));
    });
  if (capsule) {net.release();}
  return capsule;
}

// model(network, places (A, 3), axes, climbs)
inline PyObject * make_model(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 4)) {return nullptr;}
  const Network * net = network_of(given[0]);
  if (!net) {return nullptr;}
  const In places(given[1]);
  const int64_t axes = PyLong_AsLong(given[2]);
  if (PyErr_Occurred()) {return nullptr;}
  if (!places.ok() || places.count() % SPACE != 0 || (axes != 2 && axes != SPACE)) {
    PyErr_SetString(PyExc_ValueError, "not the places of a site");
    return nullptr;
  }
  auto model = std::make_unique<Model>();
  model->net = net;
  model->keeps = given[0];
  model->axes = static_cast<int>(axes);
  model->climbs = given[3] == Py_True;
  model->places.assign(places.data<double>(), places.data<double>() + places.count());
  PyObject * capsule = PyCapsule_New(
    model.get(), MODEL, [](PyObject * self) {
      Model * gone = static_cast<Model *>(PyCapsule_GetPointer(self, MODEL));
      Py_DECREF(gone->keeps);
      delete gone;
    });
  if (capsule) {Py_INCREF(model.release()->keeps);}
  return capsule;
}

// Where a filter stands: the first arguments of all functions below, borrowed while it lives.
// model, slots, slot of each anchor (A,), state: `State` says what is in one.
struct Standing
{
  static constexpr int ARGUMENTS = 4;

  // What is no number raises: see `good`.
  explicit Standing(PyObject * const * given)
  : model(model_of(given[0])), slot(given[2]), state(given[3])
  {
    slots = model ? PyLong_AsLong(given[1]) : 0;
    good = model && !PyErr_Occurred();
  }

  bool ok() const
  {
    return slots >= 1 && slots <= MOST_SLOTS && slot.holds(model->anchors()) &&
           state.holds(State::count(slots));
  }

  // Whether rows (C,) are anchors of the site with slots.
  bool knows(const int64_t * rows, int64_t count) const
  {
    for (int64_t k = 0; k < count; k++) {
      if (rows[k] < 0 || rows[k] >= model->anchors()) {return false;}
      const int64_t where = slot.data<int64_t>()[rows[k]];
      if (where < 0 || where >= slots) {return false;}
    }
    return true;
  }

  State now() const {return State(state.data<double>(), slots);}

  const Model * model;
  const Indices slot;
  const In state;
  int64_t slots = 0;
  bool good;
};

// Where a step goes: new state, and what is shown of it, mean (2D) and covariance (2D, 2D).
struct Room
{
  static constexpr int ARGUMENTS = 3;

  explicit Room(PyObject * const * given)
  : state(given[0]), shown(given[1]), shown_covariance(given[2]) {}

  bool fits(const Standing & from) const
  {
    const int axes = from.model->axes;
    return state.holds(State::count(from.slots)) && shown.holds(2 * axes) &&
           shown_covariance.holds(4 * axes * axes);
  }

  bool show(const Model & model, const State & then) const
  {
    return publish(
      *model.net, then.context, then.mean, then.covariance, then.size, model.axes,
      shown.data<double>(), shown_covariance.data<double>());
  }

  const Out state, shown, shown_covariance;
};

// One prediction: its arguments, borrowed while it lives.
struct PredictCall
{
  PredictCall(PyObject * const * standing, double dt_, PyObject * const * room)
  : from(standing), to(room), dt(dt_) {}

  bool run() const {return locdreamer_ros::run([this] {return done();});}

  const Standing from;
  const Room to;
  const double dt;

private:
  bool done() const
  {
    if (!from.ok() || !to.fits(from)) {return false;}
    const Model & model = *from.model;
    const State now = from.now(), then(to.state.data<double>(), from.slots);
    if (!predict(
        *model.net, model.climbs, dt, now.slots, now.mean, now.covariance, now.context,
        then.mean, then.covariance))
    {
      return false;
    }
    std::copy(now.times, now.mean, then.times);
    then.times[0] += dt;
    for (int i = 0; i < now.slots; i++) {
      then.age[i] = std::min(now.age[i] + dt, model.net->silent);
    }
    return to.show(model, then);
  }
};

// predict(standing, dt; room)
inline PyObject * step_predict(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  constexpr int before = Standing::ARGUMENTS + 1;
  double dt = 0.0;
  if (!arguments(count, before + Room::ARGUMENTS) || !number(given[before - 1], dt)) {
    return nullptr;
  }
  const PredictCall call(given, dt, given + before);
  return call.from.good ? answer(call.run()) : nullptr;
}

// One update: its arguments, borrowed while it lives.
class UpdateCall
{
public:
  static constexpr int ARGUMENTS = 6;

  UpdateCall(
    PyObject * const * standing, double time, PyObject * const * told, PyObject * const * room)
  : from(standing), to(room), time_(time), anchor_(told[0], "lq"), value_(told[1], "d"),
    stamp_(told[2], "d"), status_(told[3], "B"), blocked_(told[4], "d"), variance_(told[5], "d")
  {
  }

  // Take the ranges in, without those of these bits: how many were used, -1 or -2, as `update` says.
  // Compiled once for all who call it: they find it in the cache.
  __attribute__((noinline)) int run(uint64_t without = 0)
  {
    return locdreamer_ros::run([this, without] {return taken(without);});
  }

  const Standing from;
  const Room to;

private:
  int taken(uint64_t without)
  {
    static Heard heard;
    static Workspace work;
    if (!from.ok() || !to.fits(from)) {return -1;}
    const int said = listen(heard, without);
    if (said != 1) {return said;}
    const State now = from.now(), then(to.state.data<double>(), from.slots);
    const Memory memory{now.age, now.surprise, now.context, now.times[0], now.times[1]};
    Update update(
      *from.model->net, now.slots, now.mean, now.covariance, memory, heard, work);
    if (!update.run(then.mean, then.covariance)) {return -1;}
    std::copy(now.age, now.mean, then.age);
    update.remember(then.mean, then.covariance, then.context, then.surprise);
    then.times[0] = 0.0;
    then.times[1] = now.times[1] + 1.0;
    for (int where : heard.slot) {then.age[where] = 0.0;}
    return to.show(*from.model, then) ? heard.count() : -1;
  }

  // What there is to say already: 0, -1 or -2; 1: there is something to take in.
  int listen(Heard & heard, uint64_t without)
  {
    const Model & model = *from.model;
    const int64_t ranges = anchor_.ok() ? anchor_.last_axis() : -1;
    if (!anchor_.is_line(ranges) || !value_.is_line(ranges) || !stamp_.is_line(ranges) ||
      !status_.is_line(ranges) || !blocked_.is_line(ranges) || !variance_.is_line(ranges))
    {
      return -1;
    }
    heard.clear();
    bool stranger = false;
    for (int64_t i = 0; i < ranges; i++) {
      const double metres = value_.at<double>(i), ahead = stamp_.at<double>(i) - time_;
      const int64_t row = anchor_.at<int64_t>(i);
      if (i < 64 && without >> i & 1) {continue;}
      if (status_.at<uint8_t>(i) != 0 || !std::isfinite(metres) || !(metres > 0.0) ||
        !(std::fabs(ahead) <= model.net->most_ahead))
      {
        continue;
      }
      if (!from.knows(&row, 1)) {return -1;}
      const int64_t where = from.slot.data<int64_t>()[row];
      stranger = stranger || where == 0;
      heard.value.push_back(metres);
      heard.ahead.push_back(ahead);
      heard.blocked.push_back(blocked_.at<double>(i));
      const double variance = variance_.at<double>(i);
      heard.stated.push_back(variance > 0.0 ? std::sqrt(variance) : 0.0);
      heard.slot.push_back(static_cast<int>(where));
      const double * place = &model.places[row * SPACE];
      heard.place.insert(heard.place.end(), place, place + SPACE);
    }
    return heard.count() == 0 ? 0 : stranger ? -2 : 1;
  }

  const double time_;
  const Line anchor_, value_, stamp_, status_, blocked_, variance_;
};

// update(standing, time, anchor, value, stamp, status, blocked, variance; room)
// Returns how many ranges were used, -1: numpy's turn, -2: an anchor is heard for the first time.
inline PyObject * step_update(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  constexpr int before = Standing::ARGUMENTS + 1, own = UpdateCall::ARGUMENTS;
  double time = 0.0;
  if (!arguments(count, before + own + Room::ARGUMENTS) || !number(given[before - 1], time)) {
    return nullptr;
  }
  UpdateCall call(given, time, given + before, given + before + own);
  return call.from.good ? PyLong_FromLong(call.run()) : nullptr;
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__STEPS_HPP_
