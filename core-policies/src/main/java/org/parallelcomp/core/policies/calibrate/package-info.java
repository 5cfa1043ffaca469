/** Which of the kept tokens are given up again because they draw abnormally high attention. */
@NullMarked
package org.parallelcomp.core.policies.calibrate;

import org.jspecify.annotations.NullMarked;
