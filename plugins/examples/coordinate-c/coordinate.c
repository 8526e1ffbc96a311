// Coordinate search as a plugin program: from the best point, one parameter at a time moves a step up or down.
// Steps that succeed grow, others shrink; now and then a random point. C11 and nothing but the C library:
//     cc -O2 -o coordinate coordinate.c -lm
// It shows how little a plugin needs: a small JSON reader, and one line out for each line in.
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- JSON: a line becomes an array of nodes; texts stay in the line, which is changed for it -----------------------

typedef struct {
    char kind;       // '{' '[' '"' '0' (number) 't' 'f' 'n'
    const char *key; // in an object
    char *text;      // of a text; of a number as it was written
    int child, next; // -1: none
} Node;

static Node *nodes;
static int node_count, node_capacity;
static char *cursor;

static void *grown(void *memory, size_t bytes) {
    if (!(memory = realloc(memory, bytes))) {
        fputs("coordinate: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static void skip_space(void) { cursor += strspn(cursor, " \t\r\n"); }
// The text after a quote, unescaped in place; NULL if it does not end. Nothing that is read here has a \u escape: they
// become question marks.
static char *read_text(void) {
    char *start = cursor, *out = cursor;
    for (; *cursor && *cursor != '"'; cursor++) {
        if (*cursor != '\\') {
            *out++ = *cursor;
            continue;
        }
        char escaped = *++cursor;
        const char *from = "bfnrt", *to = "\b\f\n\r\t", *found = escaped ? strchr(from, escaped) : NULL;
        if (!escaped) return NULL;
        *out++ = escaped == 'u' ? '?' : found ? to[found - from] : escaped;
        for (int i = 0; escaped == 'u' && i < 4 && cursor[1]; i++) cursor++;
    }
    if (!*cursor) return NULL;
    cursor++;
    *out = 0;
    return start;
}

// Reads a value; gives its index, or -1 if it is no JSON.
static int read_value(int depth) {
    skip_space();
    if (depth > 60) return -1;
    if (node_count == node_capacity) {
        node_capacity = 2 * node_capacity + 64;
        nodes = grown(nodes, sizeof(Node) * (size_t)node_capacity);
    }
    int self = node_count++, last = -1;
    nodes[self] = (Node){.kind = *cursor, .child = -1, .next = -1, .text = cursor};
    if (*cursor == '{' || *cursor == '[') {
        char close = *cursor++ == '{' ? '}' : ']';
        skip_space();
        for (bool first = true; *cursor != close; first = false) {
            char *key = NULL;
            if (!first && *cursor++ != ',') return -1;
            skip_space();
            if (close == '}') {
                if (*cursor++ != '"' || !(key = read_text())) return -1;
                skip_space();
                if (*cursor++ != ':') return -1;
            }
            int child = read_value(depth + 1);
            if (child < 0) return -1;
            nodes[child].key = key;
            *(last < 0 ? &nodes[self].child : &nodes[last].next) = child;
            last = child;
            skip_space();
        }
        cursor++;
    } else if (*cursor == '"') {
        cursor++;
        if (!(nodes[self].text = read_text())) return -1;
    } else if (strchr("tfn", *cursor) && *cursor) {
        const char *word = *cursor == 't' ? "true" : *cursor == 'f' ? "false" : "null";
        if (strncmp(cursor, word, strlen(word))) return -1;
        cursor += strlen(word);
    } else {
        char *end;
        strtod(cursor, &end);
        if (end == cursor) return -1;
        nodes[self].kind = '0';
        cursor = end;
    }
    return self;
}

static int get(int object, const char *key) {
    if (object < 0 || nodes[object].kind != '{') return -1;
    for (int i = nodes[object].child; i >= 0; i = nodes[i].next)
        if (!strcmp(nodes[i].key, key)) return i;
    return -1;
}
static int first(int node) { return node < 0 ? -1 : nodes[node].child; }
static double number(int node, double otherwise) {
    return node >= 0 && nodes[node].kind == '0' ? strtod(nodes[node].text, NULL) : otherwise;
}
static bool is_text(int node, const char *text) {
    return node >= 0 && nodes[node].kind == '"' && !strcmp(nodes[node].text, text);
}
static int length(int list) {
    int count = 0;
    for (list = first(list); list >= 0; list = nodes[list].next) count++;
    return count;
}

// A fault; gives false. `detail`, if there is one, comes from the request and is written after the message.
static bool fault(const char *kind, const char *message, const char *detail) {
    printf("{\"fault\":{\"kind\":\"%s\",\"message\":\"%s", kind, message);
    for (; detail && *detail; detail++) {
        if (strchr("\"\\", *detail)) putchar('\\');
        putchar((unsigned char)*detail < 32 ? ' ' : *detail);
    }
    puts("\"}}");
    return false;
}

// ---- The space ------------------------------------------------------------------------------------------------------

typedef struct {
    double lower, upper, step; // step 0: a float without gaps
    double count;              // of values; 0 without gaps
    bool log, ordered;
    double edge_low, edge_high; // of the unit interval, logarithmic on a log scale
} Parameter;

static Parameter *parameters;
static int parameter_count;

static double nth(const Parameter *p, double index) {
    index = fmax(0, fmin(index, p->count - 1));
    volatile double offset = index * p->step; // rounded by itself, so that the host computes the same bits
    return fmin(p->lower + offset, p->upper);
}

static double snap(const Parameter *p, double x) {
    x = fmax(p->lower, fmin(x, p->upper));
    if (p->count == 1) return p->lower;
    return p->count > 0 ? nth(p, floor((x - p->lower) / p->step + 0.5)) : x;
}

static double from_unit(const Parameter *p, double unit) {
    unit = fmax(0, fmin(unit, 1));
    if (p->count == 1) return p->lower;
    if (p->count > 0 && !p->log) return nth(p, floor(unit * p->count));
    double place = p->edge_low * (1 - unit) + p->edge_high * unit;
    return snap(p, p->log ? exp(place) : place);
}

static double to_unit(const Parameter *p, double x) {
    if (p->count == 1) return 0.5;
    if (p->count > 0 && !p->log) return ((x - p->lower) / p->step + 0.5) / p->count;
    return ((p->log ? log(x) : x) - p->edge_low) / (p->edge_high - p->edge_low);
}

// Reads one parameter; what is wrong with it, or NULL.
static const char *read_parameter(int node, Parameter *p) {
    int domain = get(node, "domain"), body = first(domain);
    *p = (Parameter){.ordered = true};
    if (first(get(node, "conditions")) >= 0) return "conditional parameters";
    if (is_text(domain, "bool")) {
        *p = (Parameter){.upper = 1, .step = 1, .count = 2};
        return NULL;
    }
    const char *kind = body >= 0 && nodes[body].key ? nodes[body].key : "";
    if (!strcmp(kind, "float") || !strcmp(kind, "int")) {
        p->lower = number(get(body, "lower"), 0);
        p->upper = number(get(body, "upper"), 1);
        p->step = number(get(body, "step"), !strcmp(kind, "int"));
        p->log = is_text(get(body, "scale"), "log");
        if (p->lower == p->upper) p->count = 1;
        else if (p->step > 0) p->count = floor((p->upper - p->lower) / p->step * (1 + 1e-12)) + 1;
        if (p->count > 1) p->upper = nth(p, p->count);
    } else if (!strcmp(kind, "categorical") || !strcmp(kind, "ordinal")) {
        p->ordered = !strcmp(kind, "ordinal");
        p->count = length(get(body, p->ordered ? "values" : "choices"));
        p->upper = p->count - 1;
        p->step = 1;
    } else {
        return "parameters of this kind";
    }
    double half = p->count > 0 ? p->step / 2 : 0;
    p->edge_low = p->log ? log(fmax(p->lower - half, p->lower / 2)) : p->lower;
    p->edge_high = p->log ? log(p->upper + half) : p->upper;
    return NULL;
}

// ---- The search -----------------------------------------------------------------------------------------------------

static const double STEP_MIN = 1e-4; // of the unit interval; when all steps are below it, they begin anew
static bool created;
static uint64_t random_state;
static double first_step, random_share, best_loss;
static double *steps, *best; // per parameter: length of the next step, coordinate of the best point
static int start_points_left, turn;

static double uniform(void) { // SplitMix64
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

// Another coordinate of the parameter, one step away.
static double moved(const Parameter *p, double x, double step) {
    if (p->count == 1) return x;
    if (!p->ordered) {
        double other = floor(uniform() * (p->count - 1));
        return other + (other >= x);
    }
    double unit = to_unit(p, x) + step;
    if (unit < 0 || unit > 1) unit = to_unit(p, x) - step; // at a bound: the other way
    double to = from_unit(p, unit);
    if (to == x && p->count > 0) to = snap(p, step > 0 ? x + p->step : x - p->step);
    if (to == x && p->count > 0) to = snap(p, step > 0 ? x - p->step : x + p->step);
    return to;
}

static bool read_options(int options) {
    first_step = 0.25, random_share = 0.1;
    if (options < 0 || nodes[options].kind != '{') return true;
    for (int i = first(options); i >= 0; i = nodes[i].next) {
        double value = number(i, NAN);
        if (!strcmp(nodes[i].key, "step")) {
            if (!(value > 0 && value <= 0.5)) return fault("invalid", "step must be above 0, at most 0.5", NULL);
            first_step = value;
        } else if (!strcmp(nodes[i].key, "random_share")) {
            if (!(value >= 0 && value <= 1)) return fault("invalid", "random_share must be from 0 to 1", NULL);
            random_share = value;
        } else {
            return fault("invalid", "there are the options step and random_share, not ", nodes[i].key);
        }
    }
    return true;
}

static bool create(int body) {
    int problem = get(body, "problem"), space = get(problem, "space"), seed = get(body, "seed");
    created = false;
    if (!is_text(get(body, "name"), "com.example.coordinate")) return fault("invalid", "there is no such plugin", NULL);
    const char *cannot = length(get(problem, "metrics")) != 1 ? "more than one metric"
        : first(get(problem, "outcome_constraints")) >= 0     ? "bounds on metrics"
        : first(get(space, "constraints")) >= 0               ? "constraints between parameters" : NULL;
    parameter_count = length(get(space, "parameters"));
    parameters = grown(parameters, sizeof(Parameter) * (size_t)parameter_count + 1);
    steps = grown(steps, sizeof(double) * (size_t)parameter_count + 1);
    best = grown(best, sizeof(double) * (size_t)parameter_count + 1);
    Parameter *p = parameters;
    for (int i = first(get(space, "parameters")); i >= 0 && !cannot; i = nodes[i].next) cannot = read_parameter(i, p++);
    if (cannot) return fault("unsupported", "com.example.coordinate does not know ", cannot);
    if (!read_options(get(body, "options"))) return false;
    for (int i = 0; i < parameter_count; i++) steps[i] = first_step;
    random_state = seed >= 0 ? strtoull(nodes[seed].text, NULL, 10) : 0; // 64 bits: more than a double holds
    best_loss = INFINITY, turn = 0, start_points_left = 4 + parameter_count;
    puts("{\"ok\":{}}");
    return created = true;
}

// A suggestion's tag is 0 for a random point, else the parameter that moved, from 1.
static void ask(int body) {
    int count = (int)number(get(body, "count"), 1);
    printf("{\"suggestions\":[");
    for (int n = 0; n < count; n++) {
        int chosen = -1, tag = 0;
        bool down = false;
        if (start_points_left > 0) start_points_left--;
        else if (best_loss < INFINITY && uniform() >= random_share) {
            // each parameter up, then each down
            chosen = turn % parameter_count;
            down = turn++ / parameter_count % 2, tag = chosen + 1;
        }
        printf("%s{\"x\":[", n ? "," : "");
        for (int i = 0; i < parameter_count; i++) {
            double x = tag ? best[i] : from_unit(&parameters[i], uniform());
            if (i == chosen) x = moved(&parameters[i], x, down ? -steps[i] : steps[i]);
            printf("%s%.17g", i ? "," : "", x);
        }
        printf("],\"tag\":%d}", tag);
    }
    puts("]}");
}

static void tell(int body) {
    for (int seen = first(get(body, "observations")); seen >= 0; seen = nodes[seen].next) {
        bool own = get(seen, "own") >= 0 && nodes[get(seen, "own")].kind == 't';
        int moved_one = own ? (int)number(get(seen, "tag"), 0) - 1 : -1, i = 0;
        double loss = number(first(get(seen, "losses")), INFINITY);
        bool better = loss < best_loss && is_text(get(seen, "status"), "completed");
        if (moved_one >= 0 && moved_one < parameter_count)
            steps[moved_one] = better ? fmin(2 * steps[moved_one], 0.5) : 0.7 * steps[moved_one];
        if (better) {
            best_loss = loss;
            for (int x = first(get(seen, "x")); x >= 0 && i < parameter_count; x = nodes[x].next, i++)
                best[i] = number(x, 0);
        }
        bool stuck = true;
        for (i = 0; i < parameter_count; i++) stuck = stuck && steps[i] < STEP_MIN;
        for (i = 0; stuck && i < parameter_count; i++) steps[i] = first_step;
    }
    puts("{\"ok\":{}}");
}

static bool hello(int body) {
    if (number(get(body, "protocol"), 0) != 1) return fault("unsupported", "this plugin speaks protocol 1", NULL);
    puts("{\"hello\":{\"protocol\":1,\"package\":\"com-example-coordinate\",\"version\":\"0.1.0\",\"build\":\"C11\","
         "\"components\":[{\"role\":\"strategy\",\"name\":\"com.example.coordinate\",\"summary\":\"one parameter at a "
         "time, up and down from the best point\",\"capabilities\":[\"float\",\"int\",\"categorical\",\"ordinal\","
         "\"pending\"],\"options\":{\"type\":\"object\",\"properties\":{\"step\":{\"description\":\"length of the first steps, as a share of each range\",\"type\":\"number\",\"default\":0.25,"
         "\"exclusiveMinimum\":0,\"maximum\":0.5},\"random_share\":{\"description\":\"share of random points\",\"type\":\"number\",\"default\":0.1,\"minimum\":0,"
         "\"maximum\":1}},\"additionalProperties\":false}}],\"features\":[]}}");
    return true;
}

int main(void) {
    char *line = NULL;
    size_t capacity = 0;
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    for (bool more = true; more && getline(&line, &capacity, stdin) > 0;) {
        cursor = line, node_count = 0;
        int message = read_value(0), body;
        if (message >= 0) skip_space();
        if (message < 0 || *cursor || nodes[message].kind != '{') fault("invalid", "this is no JSON object", NULL);
        else if ((body = get(message, "hello")) >= 0) more = hello(body);
        else if ((body = get(message, "create")) >= 0) create(body);
        else if (get(message, "stop") >= 0) continue; // it has no answer
        else if (get(message, "snapshot") >= 0) puts("{\"snapshot\":{\"state\":null}}");
        else if ((body = get(message, "ask")) < 0 && get(message, "tell") < 0)
            fault("unsupported", "this plugin does not know this request", NULL);
        else if (!created) fault("invalid", "no strategy was created", NULL);
        else if (body >= 0) ask(body);
        else tell(get(message, "tell"));
        if (fflush(stdout)) return 0; // the host is gone
    }
    return 0;
}
