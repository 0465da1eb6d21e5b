/** Equals the SDK's default limit of label sets per instrument. */
const MAX_KEPT = 2000;

/**
 * One value for each backend service and locality that the attempts of a method are routed to with
 * xDS. Each is created once and shared by all attempts.
 *
 * At most {@link MAX_KEPT} values are kept, because a control plane may name new ones for ever. Beyond
 * the limit a value is created for each attempt.
 */
export class PerRoute<T> {
  readonly #create: (backendService: string, locality: string) => T;
  /** By backend service, then by locality. */
  readonly #known = new Map<string, Map<string, T>>();
  #size = 0;

  /** @param create Receives the labels `grpc.lb.backend_service` and `grpc.lb.locality`. */
  constructor(create: (backendService: string, locality: string) => T) {
    this.#create = create;
  }

  get(backendService: string, locality: string): T {
    return this.#known.get(backendService)?.get(locality) ?? this.#add(backendService, locality);
  }

  #add(backendService: string, locality: string): T {
    const created = this.#create(backendService, locality);
    if (this.#size >= MAX_KEPT) return created;
    this.#size++;
    const localities = this.#known.get(backendService) ?? new Map<string, T>();
    this.#known.set(backendService, localities);
    localities.set(locality, created);
    return created;
  }
}
