// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// The zero-shot filter's step, its foresight and the choice of anchors, compiled. The same formulas
// in the same order as zero_shot/step.py, zero_shot/network.py, zero_shot/foresight.py and
// schedulers/subsets.py, which explain them and say the names; a test holds the two together.
//
// Every function returns whether it answered. Where something is not finite, not positive, not an
// array as expected, or an anchor is none of the site's, it returns False and has changed nothing:
// numpy then answers, or refuses, in its own way. The GIL is held throughout: what a step works on is
// kept from one to the next.

#include "python.hpp"

#include <exception>

#include "choices.hpp"
#include "explaining.hpp"
#include "steps.hpp"
#include "turns.hpp"
#include "watching.hpp"

namespace
{

using namespace locdreamer_ros;  // NOLINT

// C++'s exceptions (no memory) end here.
template<PyObject * (*function)(PyObject *, PyObject * const *, Py_ssize_t)>
PyObject * guarded(PyObject * self, PyObject * const * given, Py_ssize_t count)
{
  try {
    return function(self, given, count);
  } catch (const std::exception &) {
    return PyErr_NoMemory();
  }
}

template<PyObject * (*function)(PyObject *, PyObject * const *, Py_ssize_t)>
PyCFunction quick()
{
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(guarded<function>));
}

PyMethodDef methods[] = {
  {"network", make_network, METH_O, "Weights and constants as the other functions take them."},
  {"model", quick<make_model>(), METH_FASTCALL, "A network on a site."},
  {"predict", quick<step_predict>(), METH_FASTCALL, "Move the state ahead."},
  {"update", quick<step_update>(), METH_FASTCALL, "Take ranges in."},
  {"seat", quick<make_seat>(), METH_FASTCALL, "What the turns of one tag work on."},
  {"plan", quick<plan>(), METH_FASTCALL, "Predict filters, and choose whom to ask."},
  {"absorb", quick<absorb>(), METH_FASTCALL, "Take ranges in, under watch."},
  {"foresee", quick<step_foresee>(), METH_FASTCALL, "What ranges not asked yet would say."},
  {"choose_ahead", quick<choose_ahead>(), METH_FASTCALL, "Whom to ask, by foresight."},
  {"first_ahead", quick<first_ahead>(), METH_FASTCALL, "Whom to ask first."},
  {"choose", quick<choose>(), METH_FASTCALL, "The subset that leaves the least variance."},
  {"near", quick<near>(), METH_FASTCALL, "The nearest anchors."},
  {"attend", quick<attend>(), METH_FASTCALL, "Take plain ranges into the window."},
  {"remember", quick<remember>(), METH_FASTCALL, "Add a place to the track."},
  {"hold", quick<hold_track>(), METH_FASTCALL, "What the track makes of the window."},
  {"medians", quick<medians_of>(), METH_FASTCALL, "The median of each anchor's values."},
  {"explain", quick<explain>(), METH_FASTCALL, "Places that explain a window of ranges."},
  {nullptr, nullptr, 0, nullptr},
};

PyModuleDef module = {
  PyModuleDef_HEAD_INIT, "_compiled", "The step of the zero-shot filter, compiled.", -1, methods,
  nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__compiled()
{
  PyObject * made = PyModule_Create(&module);
  // Raised with every change of what goes in or comes out: locdreamer_ros/compiled.py has the same.
  const char * vectors = VECTORS == Vectors::AVX512 ? "avx512" :
    VECTORS == Vectors::AVX2 ? "avx2" : "any";
  if (
    made && (PyModule_AddIntConstant(made, "INTERFACE", 15) < 0 ||
    PyModule_AddStringConstant(made, "VECTORS", vectors) < 0))
  {
    Py_DECREF(made);
    return nullptr;
  }
  return made;
}
