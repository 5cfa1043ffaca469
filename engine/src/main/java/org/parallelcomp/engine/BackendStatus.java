package org.parallelcomp.engine;

import org.parallelcomp.api.backend.Availability;

/**
 * A backend that was found, usable or not.
 *
 * @param id its id
 * @param summary one line on what it is
 * @param availability usable with a score, or every reason why not
 * @param origin the module or jar that it comes from
 */
public record BackendStatus(String id, String summary, Availability availability, String origin) {}
