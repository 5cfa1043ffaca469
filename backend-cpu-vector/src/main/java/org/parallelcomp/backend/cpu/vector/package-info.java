/** The CPU backend: provider, memory, and the operations that hand their work to the kernels. */
@NullMarked
package org.parallelcomp.backend.cpu.vector;

import org.jspecify.annotations.NullMarked;
