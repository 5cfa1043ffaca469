package org.parallelcomp.conformance.asserting;

import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A tensor that knows its scope and what it is a view of.
 *
 * @param real the backend's own
 * @param scope owns its storage
 * @param root the same object for all views of one allocation
 */
record AssertingTensor(Tensor real, AssertingScope scope, Object root) implements Tensor {
  @Override
  public DType dtype() {
    return real.dtype();
  }

  @Override
  public Layout layout() {
    return real.layout();
  }

  @Override
  public Tensor slice(int axis, long from, long to) {
    Shape expected = shape().with(axis, to - from);
    return view(real.slice(axis, from, to), expected);
  }

  @Override
  public Tensor reshape(Shape shape) {
    return view(real.reshape(shape), shape);
  }

  private Tensor view(Tensor view, Shape expected) {
    Contract.require(
        view.shape().equals(expected) && view.dtype() == dtype(),
        () -> "a view of " + expected + " came as " + view.dtype() + view.shape());
    return new AssertingTensor(view, scope, root);
  }

  /** Returns whether a number of this one lies where one of the other does. */
  boolean overlaps(AssertingTensor other) {
    return root == other.root && Overlap.of(layout(), other.layout());
  }

  @Override
  public String toString() {
    return dtype() + "" + shape();
  }
}
