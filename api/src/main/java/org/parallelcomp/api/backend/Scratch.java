package org.parallelcomp.api.backend;

import java.util.HashMap;
import java.util.Map;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * Named buffers that are used again from call to call and grow when a call needs more. Nothing is
 * allocated before it is taken. Not safe for use by several threads at once.
 */
public final class Scratch implements AutoCloseable {
  private record Slot(MemoryScope scope, Tensor tensor) {}

  private final MemoryScope scope;
  private final Map<String, Slot> slots = new HashMap<>();

  /** Creates a scratch area whose memory lives in a child of the given scope. */
  public Scratch(MemoryScope parent) {
    this.scope = parent.child("scratch");
  }

  /** Returns a contiguous F32 tensor of undefined contents, valid until the slot is taken again. */
  public Tensor take(String name, long... dims) {
    return take(name, DType.F32, Shape.of(dims));
  }

  /** Returns an I32 tensor of undefined contents, valid until the slot is taken again. */
  public Tensor takeIntegers(String name, int count) {
    return take(name, DType.I32, Shape.of(count));
  }

  private Tensor take(String name, DType dtype, Shape shape) {
    Slot slot = slots.get(name);
    if (slot == null || slot.tensor.shape().elements() < shape.elements()) {
      if (slot != null) {
        slot.scope.close();
      }
      MemoryScope slotScope = scope.child(name);
      slot = new Slot(slotScope, slotScope.allocate(dtype, Shape.of(shape.elements())));
      slots.put(name, slot);
    }
    return slot.tensor.slice(0, 0, shape.elements()).reshape(shape);
  }

  @Override
  public void close() {
    slots.clear();
    scope.close();
  }
}
