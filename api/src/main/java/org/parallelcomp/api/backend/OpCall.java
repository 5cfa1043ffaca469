package org.parallelcomp.api.backend;

import java.util.List;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;

/**
 * One operation as it would be called, to ask for support before a run.
 *
 * @param operation which operation
 * @param dtypes the types that matter, as {@link Operation} lists them
 * @param shapes the shapes that matter, as {@link Operation} lists them
 */
public record OpCall(Operation operation, List<DType> dtypes, List<Shape> shapes) {
  public OpCall {
    dtypes = List.copyOf(dtypes);
    shapes = List.copyOf(shapes);
  }
}
