/** ONNX Runtime's C interface: the library, its environment, sessions and values. */
@NullMarked
package org.parallelcomp.backend.onnx.runtime;

import org.jspecify.annotations.NullMarked;
