// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// What comes from Python and goes back: arrays, numbers, answers.

#ifndef LOCDREAMER_ROS__PYTHON_HPP_
#define LOCDREAMER_ROS__PYTHON_HPP_

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

namespace locdreamer_ros
{

// The beginning of a numpy array, which is the same in all of its versions: C code that uses numpy
// has it built in. The buffer protocol tells the same, but takes a tenth to a third of a microsecond
// for each array, and a step has a dozen.
struct NumpyArray
{
  PyObject_HEAD
  char * data;
  int axes;
  Py_ssize_t * shape, * strides;
  PyObject * base, * kind;
  int flags;

  static constexpr int CONTIGUOUS = 0x1, ALIGNED = 0x100, WRITABLE = 0x400;
};

// numpy's type of arrays and the kinds of numbers that are taken; `known` once it was seen that its
// arrays are as above, else all goes by the buffer protocol.
struct Numpy
{
  PyObject * array = nullptr, * real = nullptr, * index = nullptr, * byte = nullptr;
  PyObject * empty = nullptr;
  bool known = false;

  static const Numpy & only()
  {
    static const Numpy numpy;
    return numpy;
  }

  Numpy()
  {
    PyObject * numpy = PyImport_ImportModule("numpy");
    if (numpy) {
      array = PyObject_GetAttrString(numpy, "ndarray");
      empty = PyObject_GetAttrString(numpy, "empty");
      real = PyObject_CallMethod(numpy, "dtype", "s", "float64");
      index = PyObject_CallMethod(numpy, "dtype", "s", "intp");
      byte = PyObject_CallMethod(numpy, "dtype", "s", "uint8");
      PyObject * sample = PyObject_CallMethod(numpy, "zeros", "((ii)s)", 2, 3, "float64");
      known = array && real && index && byte && sample && as_told(sample);
      Py_XDECREF(sample);
      Py_DECREF(numpy);
    }
    PyErr_Clear();
  }

  PyObject * kind(char of) const {return of == 'd' ? real : of == 'B' ? byte : index;}

private:
  // Whether an array's beginning says of it what the buffer protocol says.
  bool as_told(PyObject * sample) const
  {
    const NumpyArray * is = reinterpret_cast<NumpyArray *>(sample);
    Py_buffer told;
    if (reinterpret_cast<PyObject *>(Py_TYPE(sample)) != array ||
      PyObject_GetBuffer(sample, &told, PyBUF_STRIDES | PyBUF_WRITABLE) != 0)
    {
      return false;
    }
    bool same = is->data == told.buf && is->axes == told.ndim && is->kind == real;
    for (int i = 0; same && i < told.ndim; i++) {
      same = is->shape[i] == told.shape[i] && is->strides[i] == told.strides[i];
    }
    constexpr int all = NumpyArray::CONTIGUOUS | NumpyArray::ALIGNED | NumpyArray::WRITABLE;
    same = same && (is->flags & all) == all;
    PyBuffer_Release(&told);
    return same;
  }
};

// A borrowed array. Not an array as asked for: `ok` is false, and no exception is set.
class Array
{
public:
  __attribute__((always_inline)) Array(PyObject * object, const char * kinds, int flags)
  {
    const Numpy & numpy = Numpy::only();
    const NumpyArray * is = reinterpret_cast<NumpyArray *>(object);
    if (numpy.known && reinterpret_cast<PyObject *>(Py_TYPE(object)) == numpy.array &&
      is->kind == numpy.kind(*kinds))
    {
      const int needed = NumpyArray::ALIGNED |
        ((flags & PyBUF_WRITABLE) == PyBUF_WRITABLE ? NumpyArray::WRITABLE : 0) |
        ((flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS ? NumpyArray::CONTIGUOUS : 0);
      ok_ = (is->flags & needed) == needed;
      is_of(is->data, is->axes, is->shape, is->strides);
      return;
    }
    ask(object, kinds, flags);
  }
  ~Array() {if (held_) {PyBuffer_Release(held_.get());}}
  Array(const Array &) = delete;
  Array & operator=(const Array &) = delete;

  bool ok() const {return ok_;}
  // Whether it has as many elements.
  bool holds(size_t count) const {return ok_ && static_cast<size_t>(count_) == count;}
  int64_t count() const {return count_;}
  template<class T> T * data() const {return reinterpret_cast<T *>(data_);}
  // Element of a one-dimensional array with any stride.
  template<class T> T at(int64_t i) const
  {
    T value;
    std::memcpy(&value, data_ + i * stride_, sizeof value);
    return value;
  }
  bool is_line(int64_t count) const {return ok_ && axes_ == 1 && last_ == count;}
  // Elements of a one-dimensional array, or along the last axis.
  int64_t last_axis() const {return ok_ ? last_ : 0;}

private:
  void is_of(void * data, int axes, const Py_ssize_t * shape, const Py_ssize_t * strides)
  {
    data_ = static_cast<char *>(data);
    axes_ = axes;
    last_ = axes > 0 ? shape[axes - 1] : 0;
    stride_ = axes > 0 ? strides[0] : 0;
    count_ = 1;
    for (int i = 0; i < axes; i++) {count_ *= shape[i];}
  }

  // By the buffer protocol.
  __attribute__((noinline)) void ask(PyObject * object, const char * kinds, int flags)
  {
    auto view = std::make_unique<Py_buffer>();
    if (PyObject_GetBuffer(object, view.get(), PyBUF_FORMAT | PyBUF_STRIDES | flags) != 0) {
      PyErr_Clear();
      return;
    }
    held_ = std::move(view);
    ok_ = held_->format && std::strlen(held_->format) == 1 &&
      std::strchr(kinds, *held_->format) && held_->itemsize == (*kinds == 'B' ? 1 : 8);
    is_of(held_->buf, held_->ndim, held_->shape, held_->strides);
  }

  // Of the buffer what is needed, so that it takes a line of the cache.
  char * data_ = nullptr;
  int64_t count_ = 0, last_ = 0, stride_ = 0;
  int axes_ = 0;
  bool ok_ = false;
  std::unique_ptr<Py_buffer> held_;
};

struct In : Array
{
  explicit In(PyObject * object) : Array(object, "d", PyBUF_C_CONTIGUOUS) {}
};
struct Out : Array
{
  explicit Out(PyObject * object) : Array(object, "d", PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) {}
};
struct Indices : Array
{
  explicit Indices(PyObject * object, int flags = 0)
  : Array(object, "lq", PyBUF_C_CONTIGUOUS | flags) {}
};
struct Line : Array
{
  Line(PyObject * object, const char * kinds) : Array(object, kinds, PyBUF_STRIDES) {}
};

// A new array, null: an exception is set. shape: a number or a tuple.
inline PyObject * empty(PyObject * shape, char kind = 'd')
{
  const Numpy & numpy = Numpy::only();
  PyObject * given[] = {shape, numpy.kind(kind)};
  if (!numpy.empty || !given[1]) {
    PyErr_SetString(PyExc_ImportError, "numpy is not there");
    return nullptr;
  }
  return PyObject_Vectorcall(numpy.empty, given, 2, nullptr);
}

// Arrays of one shape for what comes out, given again once nobody else has them: a new one takes as
// long as choosing anchors does.
class Shelf
{
public:
  Shelf() = default;
  ~Shelf() {for (PyObject * each : kept_) {Py_XDECREF(each);}}
  Shelf(const Shelf &) = delete;
  Shelf & operator=(const Shelf &) = delete;

  // As `empty`; the shape is the same each time.
  PyObject * take(PyObject * shape, char kind = 'd')
  {
    const char kinds[] = {kind, kind == 'l' ? 'q' : '\0', '\0'};
    for (PyObject * each : kept_) {
      if (each && Py_REFCNT(each) == 1 &&
        Array(each, kinds, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE).ok())
      {
        Py_INCREF(each);
        return each;
      }
    }
    PyObject * made = empty(shape, kind);
    if (made) {
      PyObject * & place = kept_[oldest_++ % MOST];
      Py_INCREF(made);
      Py_XSETREF(place, made);
    }
    return made;
  }

private:
  static constexpr int MOST = 4;
  PyObject * kept_[MOST] = {};
  unsigned oldest_ = 0;
};

inline bool arguments(Py_ssize_t given, Py_ssize_t expected)
{
  if (given == expected) {return true;}
  PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", expected, given);
  return false;
}

inline bool number(PyObject * object, double & value)
{
  value = PyFloat_AsDouble(object);
  return !(value == -1.0 && PyErr_Occurred());
}

inline PyObject * answer(bool done)
{
  return PyBool_FromLong(done);
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__PYTHON_HPP_
