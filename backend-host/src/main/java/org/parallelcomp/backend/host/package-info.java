/** Memory, rows of tensors and the policies' arithmetic in plain Java. */
@NullMarked
package org.parallelcomp.backend.host;

import org.jspecify.annotations.NullMarked;
