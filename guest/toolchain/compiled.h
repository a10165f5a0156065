/* What functions that are compiled to WebAssembly (`host/crates/aot`) need of QuickJS.
 *
 * The page's module has these functions, and puts them into the engine's table. A function
 * takes over nothing that it is passed, as JS_CallInternal does. Its frame is on the engine's
 * stack: a JSStackFrame, the arguments, the variables, the operands, and the references to
 * captured variables. Variables that no closure captures, and operands, are in WebAssembly's
 * own variables. They are in the frame only when the interpreter continues the function, which
 * it can do at any instruction: `compiled_resume`.
 *
 * `pc` is the offset of what follows the instruction. Positions of exceptions come from it.
 *
 * Included at the end of quickjs.c.
 */

#define COMPILED(type, name, ...)                                                  \
    __attribute__((export_name("compiled_" #name), used)) type compiled_##name(__VA_ARGS__); \
    type compiled_##name(__VA_ARGS__)

/* `host/crates/aot/src/layout.rs` has the same numbers. */
#define LAYOUT(what, number) _Static_assert((what) == (number), "the layout has changed")
LAYOUT(offsetof(JSRuntime, current_stack_frame), 156);
LAYOUT(offsetof(JSRuntime, stack_limit), 136);
LAYOUT(offsetof(JSContext, rt), 16);
LAYOUT(offsetof(JSContext, interrupt_counter), 328);
LAYOUT(offsetof(JSStackFrame, prev_frame), 0);
LAYOUT(offsetof(JSStackFrame, cur_func), 8);
LAYOUT(offsetof(JSStackFrame, arg_buf), 16);
LAYOUT(offsetof(JSStackFrame, var_buf), 20);
LAYOUT(offsetof(JSStackFrame, var_refs), 24);
LAYOUT(offsetof(JSStackFrame, cur_pc), 28);
LAYOUT(offsetof(JSStackFrame, var_ref_count), 32);
LAYOUT(offsetof(JSStackFrame, arg_count), 34);
LAYOUT(offsetof(JSStackFrame, is_strict_mode), 36);
LAYOUT(sizeof(JSStackFrame), 48);
LAYOUT(offsetof(JSObject, class_id), 6);
LAYOUT(offsetof(JSObject, shape), 16);
LAYOUT(offsetof(JSObject, prop), 20);
LAYOUT(offsetof(JSObject, u.func.function_bytecode), 32);
LAYOUT(offsetof(JSObject, u.func.var_refs), 36);
LAYOUT(offsetof(JSObject, u.array.u.values), 36);
LAYOUT(offsetof(JSObject, u.array.count), 40);
LAYOUT(offsetof(JSFunctionBytecode, byte_code_buf), 20);
LAYOUT(offsetof(JSFunctionBytecode, arg_count), 40);
LAYOUT(offsetof(JSFunctionBytecode, cpool), 60);
LAYOUT(offsetof(JSFunctionBytecode, compiled), 92);
LAYOUT(offsetof(JSVarRef, pvalue), 16);
LAYOUT(sizeof(JSProperty), 8);
LAYOUT(JS_CLASS_ARRAY, 2);
LAYOUT(JS_CLASS_BYTECODE_FUNCTION, 13);
LAYOUT(JS_TAG_FIRST, -9);
LAYOUT(JS_TAG_STRING, -7);
LAYOUT(JS_TAG_STRING_ROPE, -6);
LAYOUT(OP_COUNT, 254);
LAYOUT(OP_get_field, 64);
LAYOUT(OP_nop, 184);
LAYOUT(OP_to_propkey_under, 253);

/* Notes where the running function is. */
static JSStackFrame *compiled_at(JSContext *ctx, uint32_t pc)
{
    JSStackFrame *sf = ctx->rt->current_stack_frame;

    sf->cur_pc = JS_VALUE_GET_OBJ(sf->cur_func)->u.func.function_bytecode->byte_code_buf + pc;
    return sf;
}

/* The atom of an instruction that consists of nothing else. */
static JSAtom compiled_atom(JSContext *ctx, uint32_t pc)
{
    return get_u32(compiled_at(ctx, pc)->cur_pc - 4);
}

/* Takes over both operands. */
COMPILED(JSValue, binary, JSContext *ctx, JSValue a, JSValue b, uint32_t pc, int op)
{
    JSValue sp[2] = { a, b };
    int ret;

    compiled_at(ctx, pc);
    switch (op) {
    case OP_add:
        ret = js_add_slow(ctx, sp + 2);
        break;
    case OP_shl:
    case OP_sar:
    case OP_and:
    case OP_or:
    case OP_xor:
        ret = js_binary_logic_slow(ctx, sp + 2, op);
        break;
    case OP_shr:
        ret = js_shr_slow(ctx, sp + 2);
        break;
    case OP_lt:
    case OP_lte:
    case OP_gt:
    case OP_gte:
        ret = js_relational_slow(ctx, sp + 2, op);
        break;
    case OP_eq:
    case OP_neq:
        ret = js_eq_slow(ctx, sp + 2, op == OP_neq);
        break;
    case OP_strict_eq:
    case OP_strict_neq:
        ret = js_strict_eq_slow(ctx, sp + 2, op == OP_strict_neq);
        break;
    case OP_in:
        ret = js_operator_in(ctx, sp + 2);
        break;
    case OP_instanceof:
        ret = js_operator_instanceof(ctx, sp + 2);
        break;
    case OP_delete:
        ret = js_operator_delete(ctx, sp + 2);
        break;
    default:
        ret = js_binary_arith_slow(ctx, sp + 2, op);
    }
    if (ret) {
        JS_FreeValue(ctx, sp[0]);
        JS_FreeValue(ctx, sp[1]);
        return JS_EXCEPTION;
    }
    return sp[0];
}

/* `a += b` for a string or rope a, which a variable has, and a string, rope or integer b, which it
   takes over. If it throws, the variable still has a. Otherwise the result has taken it over. */
COMPILED(JSValue, append, JSContext *ctx, JSValue a, JSValue b, uint32_t pc)
{
    JSValue sp[2];
    int done;

    compiled_at(ctx, pc);
    done = js_append_in_place(ctx, &a, 1, b);
    if (done != 0) {
        JS_FreeValue(ctx, b);
        return done < 0 ? JS_EXCEPTION : a;
    }
    sp[0] = js_dup(a);
    sp[1] = b;
    if (js_add_slow(ctx, sp + 2)) {
        JS_FreeValue(ctx, sp[0]);
        JS_FreeValue(ctx, sp[1]);
        return JS_EXCEPTION;
    }
    JS_FreeValue(ctx, a);
    return sp[0];
}

/* Takes over the operand. */
COMPILED(JSValue, unary, JSContext *ctx, JSValue a, uint32_t pc, int op)
{
    JSValue sp[1] = { a };

    compiled_at(ctx, pc);
    switch (op) {
    case OP_not:
        return js_not_slow(ctx, sp + 1) ? JS_EXCEPTION : sp[0];
    case OP_typeof:
        sp[0] = JS_AtomToString(ctx, js_operator_typeof(ctx, a));
        JS_FreeValue(ctx, a);
        return sp[0];
    case OP_typeof_is_undefined:
    case OP_typeof_is_function:
        sp[0] = js_bool(js_operator_typeof(ctx, a) ==
                        (op == OP_typeof_is_function ? JS_ATOM_function : JS_ATOM_undefined));
        JS_FreeValue(ctx, a);
        return sp[0];
    case OP_to_propkey:
        if (is_propkey(a))
            return a;
        sp[0] = JS_ToPropertyKey(ctx, a);
        JS_FreeValue(ctx, a);
        return sp[0];
    case OP_post_inc:
        return JS_ToNumericFree(ctx, a);
    default:
        return js_unary_arith_slow(ctx, sp + 1, op) ? JS_EXCEPTION : sp[0];
    }
}

COMPILED(int, to_bool, JSContext *ctx, JSValue a)
{
    return JS_ToBoolFree(ctx, a);
}

/* The last reference is gone. */
COMPILED(void, free, JSContext *ctx, JSValue a)
{
    js_free_value_rt(ctx->rt, a);
}

/* What a place that reads or writes a property has seen. The shapes are kept alive, so that
   they are cloned instead of changed. */
typedef struct CompiledSite {
    JSShape *shape;
    uint32_t offset;
    JSShape *holder_shape;
    JSObject *holder;
} CompiledSite;

static void compiled_keep_shape(JSContext *ctx, JSShape **at, JSShape *shape)
{
    if (*at == shape)
        return;
    if (*at)
        js_free_shape(ctx->rt, *at);
    *at = shape ? js_dup_shape(shape) : NULL;
}

/* Takes over nothing. */
COMPILED(JSValue, get_field, JSContext *ctx, JSValue obj, uint32_t pc, CompiledSite *site)
{
    JSAtom atom = compiled_atom(ctx, pc);
    JSObject *p, *holder;
    JSProperty *pr;
    JSShapeProperty *prs;

    if (JS_VALUE_GET_TAG(obj) == JS_TAG_OBJECT) {
        p = holder = JS_VALUE_GET_OBJ(obj);
        prs = find_own_property(&pr, p, atom);
        /* the properties of an array that others do not have are numbers */
        if (!prs && (!p->is_exotic || (p->class_id == JS_CLASS_ARRAY && !__JS_AtomIsTaggedInt(atom))) &&
            p->shape->proto) {
            holder = p->shape->proto;
            prs = find_own_property(&pr, holder, atom);
        }
        if (prs && !(prs->flags & JS_PROP_TMASK)) {
            if (p->shape->is_hashed && holder->shape->is_hashed) {
                compiled_keep_shape(ctx, &site->shape, p->shape);
                site->offset = (uint8_t *)pr - (uint8_t *)holder->prop;
                compiled_keep_shape(ctx, &site->holder_shape, holder != p ? holder->shape : NULL);
                /* the first shape keeps it */
                site->holder = holder != p ? holder : NULL;
            }
            return js_dup(pr->u.value);
        }
    }
    return JS_GetPropertyInternal(ctx, obj, atom, obj, false);
}

COMPILED(JSValue, get_length, JSContext *ctx, JSValue obj, uint32_t pc)
{
    compiled_at(ctx, pc);
    return JS_GetPropertyInternal(ctx, obj, JS_ATOM_length, obj, false);
}

/* Takes over the value. */
COMPILED(int, put_field, JSContext *ctx, JSValue obj, JSValue val, uint32_t pc, CompiledSite *site)
{
    JSAtom atom = compiled_atom(ctx, pc);
    JSObject *p;
    JSProperty *pr;
    JSShapeProperty *prs;

    if (JS_VALUE_GET_TAG(obj) == JS_TAG_OBJECT) {
        p = JS_VALUE_GET_OBJ(obj);
        prs = find_own_property(&pr, p, atom);
        if (prs && (prs->flags & (JS_PROP_TMASK | JS_PROP_WRITABLE | JS_PROP_LENGTH)) == JS_PROP_WRITABLE) {
            if (p->shape->is_hashed) {
                compiled_keep_shape(ctx, &site->shape, p->shape);
                site->offset = (uint8_t *)pr - (uint8_t *)p->prop;
            }
            set_value(ctx, &pr->u.value, val);
            return 0;
        }
    }
    return JS_SetPropertyInternal2(ctx, obj, atom, val, obj, JS_PROP_THROW_STRICT) < 0;
}

/* Takes over the property. */
COMPILED(JSValue, get_element, JSContext *ctx, JSValue obj, JSValue prop, uint32_t pc)
{
    compiled_at(ctx, pc);
    return JS_GetPropertyValue(ctx, obj, prop);
}

/* Takes over the property and the value. */
COMPILED(int, put_element, JSContext *ctx, JSValue obj, JSValue prop, JSValue val, uint32_t pc)
{
    if (JS_VALUE_GET_TAG(obj) == JS_TAG_OBJECT && JS_VALUE_GET_TAG(prop) == JS_TAG_INT) {
        JSObject *p = JS_VALUE_GET_OBJ(obj);
        uint32_t idx = JS_VALUE_GET_INT(prop);
        if (p->class_id == JS_CLASS_ARRAY && idx == (uint32_t)p->u.array.count &&
            p->fast_array && p->extensible &&
            p->shape->proto == JS_VALUE_GET_OBJ(ctx->class_proto[JS_CLASS_ARRAY]) &&
            ctx->std_array_prototype && JS_VALUE_GET_TAG(p->prop[0].u.value) == JS_TAG_INT &&
            idx < p->u.array.u1.size) {
            p->u.array.u.values[idx] = val;
            p->u.array.count = idx + 1;
            if (idx + 1 > (uint32_t)JS_VALUE_GET_INT(p->prop[0].u.value))
                p->prop[0].u.value = js_int32(idx + 1);
            return 0;
        }
    }
    compiled_at(ctx, pc);
    return JS_SetPropertyValue(ctx, obj, prop, val, JS_PROP_THROW_STRICT) < 0;
}

/* Takes over nothing. The place of the call is noted already. */
COMPILED(JSValue, call, JSContext *ctx, JSValue func, JSValue this_obj, int argc, JSValue *argv)
{
    if (JS_VALUE_GET_TAG(func) == JS_TAG_OBJECT && JS_VALUE_GET_OBJ(func)->class_id == JS_CLASS_C_FUNCTION) {
        if (js_poll_interrupts(ctx))
            return JS_EXCEPTION;
        return js_call_c_function(ctx, func, this_obj, argc, vc(argv), 0);
    }
    return JS_CallInternal(ctx, func, this_obj, JS_UNDEFINED, argc, vc(argv), JS_CALL_FLAG_COPY_ARGV);
}

/* Takes over nothing. */
COMPILED(JSValue, construct, JSContext *ctx, JSValue func, JSValue new_target, int argc, JSValue *argv, uint32_t pc)
{
    compiled_at(ctx, pc);
    return JS_CallConstructorInternal(ctx, func, new_target, argc, vc(argv), JS_CALL_FLAG_COPY_ARGV);
}

/* Pushes a value that depends on nothing on the stack. */
COMPILED(JSValue, push, JSContext *ctx, uint32_t pc, int op, int operand)
{
    JSStackFrame *sf = compiled_at(ctx, pc);
    JSObject *p = JS_VALUE_GET_OBJ(sf->cur_func);

    switch (op) {
    case OP_get_var_undef:
    case OP_get_var:
        return JS_GetGlobalVar(ctx, get_u32(sf->cur_pc - 4), op - OP_get_var_undef);
    case OP_fclosure:
        return js_closure(ctx, js_dup(p->u.func.function_bytecode->cpool[operand]), p->u.func.var_refs, sf);
    case OP_object:
        return JS_NewObject(ctx);
    case OP_push_atom_value:
        return JS_AtomToValue(ctx, get_u32(sf->cur_pc - 4));
    case OP_push_empty_string:
        return js_empty_string(ctx->rt);
    default:
        return JS_ThrowInternalError(ctx, "invalid instruction");
    }
}

/* Takes over the elements. */
COMPILED(JSValue, array_from, JSContext *ctx, int argc, JSValue *argv, uint32_t pc)
{
    compiled_at(ctx, pc);
    return JS_NewArrayFrom(ctx, argc, argv);
}

/* Takes over the value. */
COMPILED(int, define_field, JSContext *ctx, JSValue obj, JSValue val, uint32_t pc)
{
    JSAtom atom = compiled_atom(ctx, pc);

    return JS_DefinePropertyValue(ctx, obj, atom, val, JS_PROP_C_W_E | JS_PROP_THROW) < 0;
}

COMPILED(int, set_name, JSContext *ctx, JSValue obj, uint32_t pc)
{
    JSAtom atom = compiled_atom(ctx, pc);

    return JS_DefineObjectName(ctx, obj, atom, JS_PROP_CONFIGURABLE) < 0;
}

COMPILED(void, close_loc, JSContext *ctx, int idx)
{
    JSStackFrame *sf = ctx->rt->current_stack_frame;

    close_lexical_var(ctx, JS_VALUE_GET_OBJ(sf->cur_func)->u.func.function_bytecode, sf, idx);
}

COMPILED(void, close_refs, JSContext *ctx, JSStackFrame *sf)
{
    close_var_refs(ctx->rt, sf);
}

/* An instruction whose operands are on the stack in memory, as in the interpreter. `sp` is behind
   them. If it throws, what is to be freed is still there. */
COMPILED(int, step, JSContext *ctx, JSValue *sp, uint32_t pc, int op, int operand)
{
    JSValue val;

    compiled_at(ctx, pc);
    switch (op) {
    case OP_for_of_start:
        sp[0] = JS_UNDEFINED;
        if (js_for_of_start(ctx, sp, false))
            return -1;
        sp[1] = JS_NewCatchOffset(ctx, 0);
        return 0;
    case OP_for_of_next:
        return js_for_of_next(ctx, sp, -3 - operand);
    case OP_iterator_close:
        JS_FreeValue(ctx, sp[-2]);
        sp[-1] = sp[-2] = JS_UNDEFINED;
        if (!JS_IsUndefined(sp[-3])) {
            if (JS_IteratorClose(ctx, sp[-3], false))
                return -1;
            JS_FreeValue(ctx, sp[-3]);
        }
        return 0;
    case OP_regexp:
        val = js_regexp_constructor_internal(ctx, JS_UNDEFINED, sp[-2], sp[-1]);
        sp[-1] = sp[-2] = JS_UNDEFINED;
        if (JS_IsException(val))
            return -1;
        sp[-2] = val;
        return 0;
    case OP_apply:
        val = js_function_apply(ctx, sp[-3], 2, vc(&sp[-2]), operand);
        if (JS_IsException(val))
            return -1;
        JS_FreeValue(ctx, sp[-3]);
        JS_FreeValue(ctx, sp[-2]);
        JS_FreeValue(ctx, sp[-1]);
        sp[-3] = val;
        return 0;
    case OP_append:
        if (js_append_enumerate(ctx, sp))
            return -1;
        JS_FreeValue(ctx, sp[-1]);
        return 0;
    case OP_define_array_el:
        val = sp[-1];
        sp[-1] = JS_UNDEFINED;
        return JS_DefinePropertyValueValue(ctx, sp[-3], js_dup(sp[-2]), val, JS_PROP_C_W_E | JS_PROP_THROW) < 0;
    case OP_to_propkey2:
    case OP_to_propkey_of:
        if (JS_IsUndefined(sp[-2]) || JS_IsNull(sp[-2])) {
            if (op == OP_to_propkey_of)
                return 0;
            JS_ThrowTypeError(ctx, "value has no property");
            return -1;
        }
        if (is_propkey(sp[-1]))
            return 0;
        val = JS_ToPropertyKey(ctx, sp[-1]);
        if (JS_IsException(val))
            return -1;
        JS_FreeValue(ctx, sp[-1]);
        sp[-1] = val;
        return 0;
    case OP_get_array_el2:
        val = JS_GetPropertyValue(ctx, sp[-2], sp[-1]);
        sp[-1] = JS_UNDEFINED;
        if (JS_IsException(val))
            return -1;
        sp[-1] = val;
        return 0;
    default:
        JS_ThrowInternalError(ctx, "invalid instruction");
        return -1;
    }
}

COMPILED(int, poll, JSContext *ctx, uint32_t pc)
{
    compiled_at(ctx, pc);
    return __js_poll_interrupts(ctx);
}

/* At a call, before the function has a frame. */
COMPILED(int, poll_call, JSContext *ctx)
{
    return __js_poll_interrupts(ctx);
}

/* A variable is used before it is initialized. */
COMPILED(void, uninitialized, JSContext *ctx, uint32_t pc, int idx, int is_ref)
{
    JSStackFrame *sf = compiled_at(ctx, pc);

    JS_ThrowReferenceErrorUninitialized2(ctx, JS_VALUE_GET_OBJ(sf->cur_func)->u.func.function_bytecode, idx, is_ref);
}

COMPILED(JSValue, overflow, JSContext *ctx)
{
    return JS_ThrowStackOverflow(ctx);
}

/* Continues a function in the interpreter, which frees what is in the frame. `pc` is the offset of
   the instruction, or -1 if the instruction that `cur_pc` is behind has thrown. */
COMPILED(JSValue, resume, JSContext *ctx, JSStackFrame *sf, JSValue this_obj, int pc, int depth)
{
    JSFunctionBytecode *b = JS_VALUE_GET_OBJ(sf->cur_func)->u.func.function_bytecode;

    sf->arg_count = b->arg_count;
    sf->arg_buf = (JSValue *)(sf + 1);
    sf->var_buf = sf->arg_buf + b->arg_count;
    sf->var_refs = (JSVarRef **)(sf->var_buf + b->var_count + b->stack_size);
    sf->cur_sp = sf->var_buf + b->var_count + depth;
    if (pc >= 0)
        sf->cur_pc = b->byte_code_buf + pc;
    return JS_CallInternal(ctx, JS_MKPTR(JS_TAG_INT, sf), this_obj, JS_UNDEFINED, pc < 0, NULL,
                           JS_CALL_FLAG_COMPILED);
}
