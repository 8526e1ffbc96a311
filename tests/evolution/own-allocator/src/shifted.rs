//! An allocator whose addresses are none for anybody else: each is a little behind the place that the system
//! gave out, with a mark between. Who frees memory of the other side ends the process: the system does not
//! know the address, or this allocator does not find its mark.

use std::alloc::{GlobalAlloc, Layout, System};

const MARK: u64 = 0x5348_4946_5445_4400;

pub struct Shifted;

/// What is asked of the system, and by how much its address is shifted: a multiple of the alignment with room
/// for the mark.
fn outer(layout: Layout) -> Option<(Layout, usize)> {
    let shift = layout.align().max(16);
    let outer = Layout::from_size_align(layout.size().checked_add(shift)?, shift).ok()?;
    Some((outer, shift))
}

// SAFETY: memory is the system's, of the size and alignment that was asked for behind the shift.
unsafe impl GlobalAlloc for Shifted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((outer, shift)) = outer(layout) else { return std::ptr::null_mut() };
        // SAFETY: the size is not 0, for the shift is not.
        let place = unsafe { System.alloc(outer) };
        if place.is_null() {
            return place;
        }
        // SAFETY: the shift is at least 16 and inside of what was allocated.
        unsafe {
            let given = place.add(shift);
            given.sub(8).cast::<u64>().write(MARK);
            given
        }
    }

    unsafe fn dealloc(&self, given: *mut u8, layout: Layout) {
        // SAFETY: our addresses have the mark before them; what has none is not ours, and reading the eight
        // bytes before memory of the system's allocator reads its own notes.
        let mark = unsafe { given.sub(8).cast::<u64>() };
        // SAFETY: as above.
        if unsafe { mark.read() } != MARK {
            std::process::abort();
        }
        let Some((outer, shift)) = outer(layout) else { std::process::abort() };
        // SAFETY: this place was allocated with this layout, in `alloc`; its mark ends with it.
        unsafe {
            mark.write(0);
            System.dealloc(given.sub(shift), outer);
        }
    }
}
