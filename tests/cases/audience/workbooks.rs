//! XLSX.
